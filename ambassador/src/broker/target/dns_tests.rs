//! Services that are found by DNS: a server of names on this machine, asked over UDP.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use super::*;

/// Types of records (RFC 1035, RFC 2782).
const A: u16 = 1;
const SRV: u16 = 33;

/// Answers that hold all they have, with authority.
const AUTHORITATIVE: [u8; 2] = [0x85, 0x80];

/// The data of the records of a name and type.
type Records = HashMap<(String, u16), Vec<Vec<u8>>>;

/// A server of names. What it does not know has no records.
struct Names {
    records: Arc<Mutex<Records>>,
    address: SocketAddr,
}

impl Names {
    fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = socket.local_addr().expect("an address");
        let records = Arc::<Mutex<Records>>::default();
        let known = Arc::clone(&records);
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let answer = answer(&buffer[..length], &known.lock().expect("not poisoned"));
                // A client that is gone needs no answer.
                drop(socket.send_to(&answer, from));
            }
        });
        Self { records, address }
    }

    fn set(&self, name: &str, kind: u16, data: Vec<Vec<u8>>) {
        let mut records = self.records.lock().expect("not poisoned");
        records.insert((name.to_owned(), kind), data);
    }

    /// Returns a look at `target` by this server alone.
    fn looker(&self, target: &str) -> Looker {
        let mut connection = ConnectionConfig::udp();
        connection.port = self.address.port();
        let server = NameServerConfig::new(self.address.ip(), true, vec![connection]);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        Looker {
            target: target.parse().expect("a target"),
            dns: Some(builder.build().expect("a resolver")),
        }
    }
}

/// Answers a question: its head and name as they came, then the records.
fn answer(question: &[u8], records: &Records) -> Vec<u8> {
    let mut name = String::new();
    let mut at = 12;
    while question[at] > 0 {
        let length = usize::from(question[at]);
        let label = &question[at + 1..=at + length];
        name += &String::from_utf8_lossy(label).to_lowercase();
        name.push('.');
        at += length + 1;
    }
    let kind = u16::from_be_bytes([question[at + 1], question[at + 2]]);
    let data = records.get(&(name, kind)).map_or(&[][..], Vec::as_slice);
    let num_answers = u16::try_from(data.len()).expect("few");
    let mut answer = question[..2].to_vec();
    answer.extend(AUTHORITATIVE);
    for count in [1, num_answers, 0, 0] {
        answer.extend(count.to_be_bytes());
    }
    answer.extend(&question[12..at + 5]);
    for data in data {
        // The name of the question, the type, the Internet, 0 s to live.
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 0]);
        answer.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
        answer.extend(data);
    }
    answer
}

/// The data of an SRV record.
fn service(priority: u16, weight: u16, port: u16, host: &str) -> Vec<u8> {
    let mut data: Vec<u8> = [priority, weight, port]
        .into_iter()
        .flat_map(u16::to_be_bytes)
        .collect();
    for label in host.split_terminator('.') {
        data.push(u8::try_from(label.len()).expect("short"));
        data.extend(label.bytes());
    }
    data.push(0);
    data
}

fn endpoint(address: &str, priority: u16, weight: u16) -> Endpoint {
    Endpoint {
        address: address.to_owned(),
        priority,
        weight,
    }
}

#[tokio::test]
async fn an_srv_record_gives_ports_priorities_and_weights() {
    let names = Names::start();
    let records = vec![
        service(1, 30, 5_432, "one.corp."),
        service(2, 0, 5_433, "two.corp."),
        service(1, 10, 5_434, "gone.corp."),
    ];
    names.set("_db._tcp.corp.", SRV, records);
    names.set("one.corp.", A, vec![vec![10, 0, 0, 1], vec![10, 0, 0, 2]]);
    names.set("two.corp.", A, vec![vec![10, 0, 0, 3]]);
    let looker = names.looker("srv:_db._tcp.corp.");
    let wanted = Endpoints::new(vec![
        endpoint("10.0.0.1:5432", 1, 30),
        endpoint("10.0.0.2:5432", 1, 30),
        endpoint("10.0.0.3:5433", 2, 0),
    ]);
    assert_eq!(
        looker.look().await,
        Ok(wanted),
        "a host without an address hides no other"
    );
}

#[tokio::test]
async fn a_name_that_moves_is_found_at_the_next_look() {
    let names = Names::start();
    names.set("db.corp.", A, vec![vec![10, 0, 0, 1]]);
    let looker = names.looker("dns:db.corp.:3306");
    let (found, endpoints) = watch::channel(Endpoints::default());
    assert_eq!(looker.look_and_tell(&found, None).await, None);
    let at = |address: &str| Endpoints::alike([address.to_owned()]);
    assert_eq!(*endpoints.borrow(), at("10.0.0.1:3306"));
    names.set("db.corp.", A, vec![vec![10, 0, 0, 2]]);
    assert_eq!(looker.look_and_tell(&found, None).await, None);
    assert_eq!(*endpoints.borrow(), at("10.0.0.2:3306"));
    names.set("db.corp.", A, Vec::new());
    let why = looker.look_and_tell(&found, None).await;
    assert!(why.is_some(), "a look that finds nothing is a failure");
    assert_eq!(
        *endpoints.borrow(),
        at("10.0.0.2:3306"),
        "and changes nothing"
    );
}
