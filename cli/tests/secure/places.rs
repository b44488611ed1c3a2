//! A process of a cluster in another's place: its certificate is for the host, and of the cluster's authority.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use gleaner_tls::{Acceptor, Alpn, CertificateFiles, Certificates, ClientCertificates, Trust};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::running::{Running, curl, gleaner};
use crate::word;

/// Takes connections with the certificate `name`, answers each request with 200, and tells what came.
async fn serve(certs: PathBuf, name: String, listener: TcpListener, tell: mpsc::Sender<String>) {
    let files = CertificateFiles {
        certificate: certs.join(format!("{name}.pem")),
        key: certs.join(format!("{name}.key")),
    };
    let own = Arc::new(Certificates::load(vec![files]).expect("they were made"));
    let clients = ClientCertificates::Offered(Trust::Authorities(certs.join("ca.pem")));
    let acceptor = Acceptor::new(own, &clients, Alpn::Http1).expect("an acceptor");
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let (acceptor, tell) = (acceptor.clone(), tell.clone());
        tokio::spawn(async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let mut read = [0; 8_192];
            while let Ok(num_bytes) = stream.read(&mut read).await {
                if num_bytes == 0 {
                    return;
                }
                let came = String::from_utf8_lossy(&read[..num_bytes]).into_owned();
                drop(tell.send(came).await);
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                let sent = stream.write_all(answer).await;
                if sent.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Makes certificates for a root at `root`, and for a leaf and a front on the same host.
fn certificates(folder: &Path, root: &str) -> Result<(PathBuf, PathBuf)> {
    let members = folder.join("cluster.toml");
    let text = format!(
        "[cluster]\netcd = ['https://127.0.0.1:1']\n\
         [[cluster.nodes]]\nname = 'r'\nrole = 'root'\naddress = '127.0.0.1:1'\nhttp_address = '{root}'\n\
         [[cluster.nodes]]\nname = 'l'\nrole = 'leaf'\naddress = '127.0.0.1:1'\n\
         [[cluster.fronts]]\nname = 'f'\nhttp_address = '127.0.0.1:2'\n"
    );
    fs::write(&members, text)?;
    let certs = folder.join("certs");
    let words = ["certs", "--cluster", word(&members), "--out", word(&certs)];
    let made = gleaner().args(words).stdout(Stdio::null()).status()?;
    ensure!(made.success(), "no certificates");
    Ok((members, certs))
}

/// Starts a front whose root shows the certificate `shown`; returns the status that a client of it is answered, and
/// what reached the root of the client's request.
async fn ask_through_a_front(shown: &str) -> Result<(String, Vec<String>)> {
    let folder = tempfile::tempdir()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let root = listener.local_addr()?.to_string();
    let (members, certs) = certificates(folder.path(), &root)?;
    let (tell, mut told) = mpsc::channel(1_024);
    let serving = tokio::spawn(serve(certs.clone(), shown.to_owned(), listener, tell));
    let answer = tokio::task::spawn_blocking(move || {
        let file = |name: &str| certs.join(name);
        let (cert, key, ca) = (file("f.pem"), file("f.key"), file("ca.pem"));
        let front = Running::start(&[
            "front",
            "--cluster",
            word(&members),
            "--node-name",
            "f",
            "--listen",
            "127.0.0.1:0",
            "--cert",
            word(&cert),
            "--key",
            word(&key),
            "--ca",
            word(&ca),
        ]);
        let url = format!("https://{}/notes/_search", front.address());
        let answer = curl(
            &ca,
            &["-H", "Authorization: ApiKey secret-of-a-client", &url],
        );
        assert_eq!(front.stop(), 0);
        answer.1
    });
    let answer = answer.await?;
    serving.abort();
    let mut came = Vec::new();
    while let Ok(part) = told.try_recv() {
        came.push(part);
    }
    let status = answer.lines().next().context("no answer")?.to_owned();
    Ok((status, came))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_in_the_place_of_a_root_is_sent_nothing_of_what_clients_send() -> Result<()> {
    let (status, came) = ask_through_a_front("r").await?;
    ensure!(status.contains("200"), "{status}");
    let has_key = came.iter().any(|part| part.contains("secret-of-a-client"));
    ensure!(has_key, "a root is asked with the client's key: {came:?}");
    for other in ["l", "f", "admin", "etcd/127.0.0.1"] {
        let (status, came) = ask_through_a_front(other).await?;
        ensure!(!status.contains("200"), "{other}: {status}");
        ensure!(came.is_empty(), "{other} was sent {came:?}");
    }
    Ok(())
}
