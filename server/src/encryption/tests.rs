//! Handshakes of clients that stall, in time that passes only while everybody waits.

use gleaner_tls::Alpn;
use tokio::io::{DuplexStream, duplex};

use super::*;
use crate::tests::encrypted::Certified;

/// Bytes that both sides hold between them: more than a handshake has.
const BETWEEN: usize = 64 << 10;

/// Returns the first record of a client.
async fn hello(certified: &Certified) -> Bytes {
    let (client, mut server) = duplex(BETWEEN);
    let connector = certified.connector(Alpn::Http);
    let connecting = tokio::spawn(async move { connector.connect("localhost", client).await });
    let mut hello = Vec::new();
    while first_record(&hello).expect("a hello") != Some(FirstRecord::Handshake) {
        hello.push(server.read_u8().await.expect("it is sent"));
    }
    connecting.abort();
    hello.into()
}

/// Makes a handshake whose client has sent `first` and sends nothing more; returns the client's end of it.
fn stalled(
    handshakes: &Arc<Handshakes>,
    first: Bytes,
) -> (DuplexStream, tokio::task::JoinHandle<io::ErrorKind>) {
    let (client, server) = duplex(BETWEEN);
    let handshakes = Arc::clone(handshakes);
    let making = tokio::spawn(async move {
        let made = handshakes.make(server, first).await;
        made.expect_err("it is never made").kind()
    });
    (client, making)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stalls_is_cut_off_and_keeps_no_turn() {
    let certified = Certified::new();
    let hello = hello(&certified).await;
    let handshakes = Arc::new(Handshakes::new(certified.acceptor));
    let all = handshakes.turns.available_permits();
    let (mut client, making) = stalled(&handshakes, hello);
    client.read_u8().await.expect("the server's hello");
    assert_eq!(handshakes.turns.available_permits(), all);
    assert_eq!(making.await.expect("no panic"), io::ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_turn_is_cut_off_as_well() {
    let certified = Certified::new();
    let hello = hello(&certified).await;
    let handshakes = Arc::new(Handshakes::new(certified.acceptor));
    let all = u32::try_from(handshakes.turns.available_permits()).expect("few");
    let turns = Arc::clone(&handshakes.turns).acquire_many_owned(all).await;
    let (_client, making) = stalled(&handshakes, hello);
    assert_eq!(making.await.expect("no panic"), io::ErrorKind::TimedOut);
    drop(turns);
}

#[tokio::test]
async fn a_handshake_gives_its_turn_back() {
    let certified = Certified::new();
    let (client, server) = duplex(BETWEEN);
    let connector = certified.connector(Alpn::Http);
    let handshakes = Handshakes::new(certified.acceptor.clone());
    let all = handshakes.turns.available_permits();
    let connecting = connector.connect("localhost", client);
    let making = handshakes.make(server, Bytes::new());
    let (connected, made) = tokio::join!(connecting, making);
    let (connected, made) = (connected.expect("connected"), made.expect("made"));
    assert_eq!(handshakes.turns.available_permits(), all);
    assert!(connected.is_http2() && made.is_http2());
    assert_eq!(told_by(&made).server_name.as_deref(), Some("localhost"));
}
