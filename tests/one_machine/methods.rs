//! Methods that a path does not have.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;

#[tokio::test(flavor = "multi_thread")]
async fn a_path_says_which_methods_it_has() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    for (method, status) in [("OPTIONS", 200), ("PATCH", 405)] {
        let answer = server.send(&Request::new(method, "/notes/_doc/1")).await?;
        ensure!(answer.status == status, "{method}: {}", answer.status);
        let allowed = answer.header("allow").unwrap_or_default();
        ensure!(allowed == "DELETE, GET, HEAD, POST, PUT", "{allowed}");
        ensure!(answer.body.is_empty() == (status == 200), "{method}");
    }
    let nowhere = server
        .send(&Request::new("OPTIONS", "/_nowhere/at/all"))
        .await?;
    ensure!(nowhere.status == 400, "{}", nowhere.status);
    Ok(())
}
