//! Users of an etcd: who may read and write which keys.
//!
//! A user has no password: etcd knows him by the common name of his certificate, and needs `--client-cert-auth`.

use tonic::Response;
use tonic::transport::Channel;

use super::members::Repeat;
use super::wire::authpb::permission::Type;
use super::wire::authpb::{Permission, UserAddOptions};
use super::wire::etcdserverpb::auth_client::AuthClient;
use super::wire::etcdserverpb::{
    AuthEnableRequest, AuthRoleAddRequest, AuthRoleGetRequest, AuthRoleGrantPermissionRequest,
    AuthRoleRevokePermissionRequest, AuthUserAddRequest, AuthUserGetRequest,
    AuthUserGrantRoleRequest,
};
use super::wire::request;
use super::{Client, Fault, end_of};

/// What may be done with keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// They may be read and watched.
    Read,
    /// They may be changed and removed.
    Write,
    /// Both.
    Both,
}

/// What a role may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What may be done.
    pub right: Right,
    /// What the keys begin with, which is not empty.
    pub prefix: String,
}

impl Grant {
    fn permission(&self) -> Permission {
        let right = match self.right {
            Right::Read => Type::Read,
            Right::Write => Type::Write,
            Right::Both => Type::Readwrite,
        };
        Permission {
            perm_type: right.into(),
            key: self.prefix.clone().into(),
            range_end: end_of(&self.prefix),
        }
    }
}

/// Makes a call of the service of users, which does the same when it is made again.
macro_rules! call {
    ($client:expr, $method:ident, $message:expr) => {{
        let message = $message;
        let call = |channel: Channel| {
            let message = request(message.clone());
            async move { AuthClient::new(channel).$method(message).await }
        };
        let answer = $client.members.ask(Repeat::Safe, $client.patience, call);
        answer.await.map(Response::into_inner)
    }};
}

impl Client {
    /// Sees to it that there is a role with `grants`, and no others.
    ///
    /// # Errors
    /// That nobody answers, or etcd refuses.
    pub async fn set_role(&self, role: &str, grants: &[Grant]) -> Result<(), Fault> {
        let name = || role.to_owned();
        unless_there(call!(self, role_add, AuthRoleAddRequest { name: name() }))?;
        let there = call!(self, role_get, AuthRoleGetRequest { role: name() })?.perm;
        let wanted: Vec<Permission> = grants.iter().map(Grant::permission).collect();
        for permission in wanted.iter().filter(|wanted| !there.contains(wanted)) {
            let grant = AuthRoleGrantPermissionRequest {
                name: name(),
                perm: Some(permission.clone()),
            };
            call!(self, role_grant_permission, grant)?;
        }
        let is_wanted = |there: &&Permission| {
            let mut wanted = wanted.iter();
            wanted.any(|wanted| wanted.key == there.key && wanted.range_end == there.range_end)
        };
        for Permission { key, range_end, .. } in there.iter().filter(|there| !is_wanted(there)) {
            let revoke = AuthRoleRevokePermissionRequest {
                role: name(),
                key: key.clone(),
                range_end: range_end.clone(),
            };
            call!(self, role_revoke_permission, revoke)?;
        }
        Ok(())
    }

    /// Sees to it that there is a user who has a role. Whoever has the role `root` may do everything.
    ///
    /// # Errors
    /// That nobody answers, or etcd refuses, as where there is no such role.
    pub async fn set_user(&self, user: &str, role: &str) -> Result<(), Fault> {
        let name = || user.to_owned();
        let added = AuthUserAddRequest {
            name: name(),
            password: String::new(),
            options: Some(UserAddOptions { no_password: true }),
        };
        unless_there(call!(self, user_add, added))?;
        let there = call!(self, user_get, AuthUserGetRequest { name: name() })?;
        if there.roles.iter().any(|has| has == role) {
            return Ok(());
        }
        let grant = AuthUserGrantRoleRequest {
            user: name(),
            role: role.to_owned(),
        };
        call!(self, user_grant_role, grant).map(drop)
    }

    /// Has etcd refuse whatever its users have no right to, from now on. There must be a user `root` with the role
    /// `root`.
    ///
    /// # Errors
    /// That nobody answers, or etcd refuses.
    pub async fn require_users(&self) -> Result<(), Fault> {
        call!(self, auth_enable, AuthEnableRequest {}).map(drop)
    }
}

/// Takes that something is there already for that it was made.
fn unless_there<T>(made: Result<T, Fault>) -> Result<(), Fault> {
    match made {
        Err(Fault::Refused { reason }) if reason.ends_with("already exists") => Ok(()),
        made => made.map(drop),
    }
}
