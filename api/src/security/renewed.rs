//! Rights asked again while a request goes on: its head says who sends it, and its body may come long after.
//!
//! Does: find the key of a sender in the cluster state of now, refuse one that has ended, or one whose rights were changed
//! and no longer reach what the request reaches. Does not: interrupt what is being done with one part of a body.
//! Called by [`crate::request`] when a body has come whole, and by bulks before each of their parts.
//! Read first: [`App::renewed`].

use std::sync::Arc;

use gleaner_model::Rights;
use gleaner_model::security::ANONYMOUS;

use super::gate::OWNER;
use super::{Entry, KeyHolder, Principal, Sender, authorize, denial, unheard};
use crate::error::ApiError;
use crate::request::ALLOWED;
use crate::request::Request;
use crate::service::App;

impl App {
    /// Returns the sender with his key as the cluster state has it now; `None` where it is as it was.
    ///
    /// # Errors
    /// 401 where the key has ended; 503 where nothing was heard of the keys for too long.
    pub(crate) fn renewed(&self, sender: &Sender) -> Result<Option<Sender>, ApiError> {
        let Principal::Key(holder) = &sender.principal else {
            return Ok(None);
        };
        let cluster = self.root.cluster();
        let state = self.max_age.state(&**cluster.coordinator());
        let state = state.map_err(unheard)?;
        let security = state.security.as_ref();
        let known = security.and_then(|security| security.api_keys.get(&*holder.id));
        let known = known.filter(|key| key.is_valid(cluster.now_ms()));
        // Another secret is another key: that of strangers has none.
        let Some(known) = known.filter(|key| key.hash == holder.key.hash || is_stranger(holder))
        else {
            let error = denial::ended();
            self.note_denial(sender, None, &error);
            return Err(error);
        };
        if Arc::ptr_eq(known, &holder.key) {
            return Ok(None);
        }
        let holder = KeyHolder {
            id: Arc::clone(&holder.id),
            key: Arc::clone(known),
        };
        Ok(Some(Sender {
            principal: Principal::Key(holder),
            address: sender.address,
        }))
    }
}

fn is_stranger(holder: &KeyHolder) -> bool {
    *holder.id == *ANONYMOUS
}

fn rights_of(sender: &Sender) -> Option<&Rights> {
    sender.principal.holder().map(|holder| &holder.key.rights)
}

impl Request {
    /// Asks for the rights of the sender again. What reads the sender afterwards sees those that he has now.
    ///
    /// # Errors
    /// As [`App::renewed`]; 403 where his rights have changed and the request would reach something else by those that
    /// he has now.
    pub(crate) fn renew_rights(&mut self) -> Result<(), ApiError> {
        let Some(sender) = self.app.renewed(&self.sender)? else {
            return Ok(());
        };
        let had = std::mem::replace(&mut self.sender, sender);
        if rights_of(&had) == rights_of(&self.sender) {
            return Ok(());
        }
        let checked = self.check_parts();
        checked.inspect_err(|error| {
            let path = Some(self.uri.path());
            self.app.note_denial(&self.sender, path, error);
        })
    }

    /// Refuses to go on with one of many parts of the request where its sender has lost his rights, or has others now.
    ///
    /// # Errors
    /// As [`App::renewed`]; 403.
    pub(crate) fn check_going_on(&self) -> Result<(), ApiError> {
        let Some(sender) = self.app.renewed(&self.sender)? else {
            return Ok(());
        };
        match (
            rights_of(&sender) == rights_of(&self.sender),
            sender.principal.holder(),
        ) {
            (false, Some(holder)) => Err(denial::changed(holder, self.route)),
            _ => Ok(()),
        }
    }

    /// Refuses the request where its path would reach something else by the rights of now than it does: names were put
    /// into it by those that its sender had.
    fn check_parts(&self) -> Result<(), ApiError> {
        let cluster = self.root().cluster();
        let entry = Entry {
            principal: &self.sender.principal,
            route: self.route,
            parameters: &self.parameters,
            state: &cluster.state(),
            now_ms: cluster.now_ms(),
        };
        let mut parts = self.parts.clone();
        parts.retain(|(name, _)| ![ALLOWED, OWNER].contains(name));
        authorize(&entry, &mut parts)?;
        match (parts == self.parts, self.sender.principal.holder()) {
            (false, Some(holder)) => Err(denial::changed(holder, self.route)),
            _ => Ok(()),
        }
    }
}
