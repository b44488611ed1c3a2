//! `gleaner ambassador`: a program calls an address of its own machine, and reaches services elsewhere.
//!
//! Does: refuse an address that other machines reach unless somebody said that it is meant. Does not: know any protocol
//! ([`redis`] and [`tcp`] start what does). Read first: [`take_address`].

mod redis;
mod tcp;

use std::net::SocketAddr;

use anyhow::{Result, bail};

use crate::exit::Exit;
use crate::serve::address::{Bound, LISTEN};

/// Stand between a program and the services that it calls.
///
/// The program always calls the same address, on its own machine; the ambassador knows where the services are, how many
/// there are and which of them work.
#[derive(Debug, clap::Args)]
pub(crate) struct AmbassadorArguments {
    #[command(subcommand)]
    service: Service,
}

#[derive(Debug, clap::Subcommand)]
enum Service {
    Redis(redis::RedisArguments),
    Tcp(tcp::TcpArguments),
}

/// Runs the command.
pub(crate) async fn run(arguments: AmbassadorArguments, verbosity: u8) -> Result<Exit> {
    match arguments.service {
        Service::Redis(arguments) => redis::run(arguments, verbosity).await,
        Service::Tcp(arguments) => tcp::run(arguments, verbosity).await,
    }
}

/// What says that clients of other machines are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admission {
    /// `--insecure`.
    Anyone,
    /// A password that clients must show.
    Password,
    /// Nothing: only programs of this machine are.
    ThisMachine {
        /// What else than `--insecure` would allow others, as it is typed; empty where there is nothing.
        or: &'static str,
    },
}

/// Takes the address to listen on, one that other machines reach only where `admission` lets them in.
///
/// Many services trust the programs of their own machine, as Redis does in its protected mode. An ambassador calls them
/// from there, so on an open address it would lend this trust to the whole network.
///
/// # Errors
/// An address that cannot be taken, or one that is refused, with what to type.
async fn take_address(address: &str, admission: Admission) -> Result<Bound> {
    let bound = Bound::take(address, LISTEN).await?;
    check_admission(bound.local_addr()?, admission)?;
    Ok(bound)
}

fn check_admission(address: SocketAddr, admission: Admission) -> Result<()> {
    let Admission::ThisMachine { or } = admission else {
        return Ok(());
    };
    if address.ip().is_loopback() {
        return Ok(());
    }
    bail!(
        "other machines reach {address}, and the service behind the ambassador cannot tell them from this one. \
         Listen on `127.0.0.1`, or start {or}with `--insecure` where everyone on the network may use the service"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_others_reach_needs_a_word_or_a_password() {
        let nothing = Admission::ThisMachine {
            or: "with `--password-file FILE` or ",
        };
        for (address, admission, is_allowed) in [
            ("127.0.0.1:6379", nothing, true),
            ("[::1]:6379", nothing, true),
            ("0.0.0.0:6379", nothing, false),
            ("[::]:6379", nothing, false),
            ("10.0.0.1:6379", nothing, false),
            ("0.0.0.0:6379", Admission::Password, true),
            ("0.0.0.0:6379", Admission::Anyone, true),
        ] {
            let checked = check_admission(address.parse().expect("an address"), admission);
            assert_eq!(checked.is_ok(), is_allowed, "{address}, {admission:?}");
            if let Err(error) = checked {
                let error = error.to_string();
                for part in [address, "`--insecure`", "`--password-file FILE`"] {
                    assert!(error.contains(part), "{error}");
                }
            }
        }
    }
}
