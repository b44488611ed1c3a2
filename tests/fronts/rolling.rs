//! Fronts behind a TCP balancer, restarted one after another while clients ask: no request fails.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_machine::ports;
use gleaner_testkit::http::Request;
use gleaner_testkit::rate::at_rate;
use gleaner_testkit::server::binary;
use gleaner_testkit::{etcd, run, skipped};
use parking_lot::Mutex;
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

use super::processes::Processes;

const NUM_FRONTS: usize = 3;

/// How long a front may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A front that can be started again at its address; stopped when dropped.
struct Front {
    address: SocketAddr,
    child: Child,
}

impl Front {
    fn start(processes: &Processes, address: SocketAddr) -> Result<Self> {
        let child = Command::new(binary()?)
            .args(["front", "--drain-delay", "500ms", "--cluster"])
            .arg(processes.members())
            .args(["--listen", &address.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = child.context("a front does not start")?;
        Ok(Self { address, child })
    }

    async fn ready(&self) -> Result<()> {
        let ready = async {
            while !is_ready(self.address).await {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(READY_WITHIN, ready)
            .await
            .context("a front is not ready")
    }

    /// Stops it in order, and waits until it has ended.
    async fn stop(&mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        ensure!(
            Command::new("kill").arg(pid).status()?.success(),
            "it is gone"
        );
        while self.child.try_wait()?.is_none() {
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn counted(balancer: SocketAddr) -> Result<()> {
    let answer = Request::new("GET", "/things/_count").send(balancer).await?;
    let answer = answer.ok()?;
    ensure!(answer["count"] == 1, "{answer}");
    Ok(())
}

async fn is_ready(address: SocketAddr) -> bool {
    let asked = Request::new("GET", "/_health/ready").send(address).await;
    asked.is_ok_and(|answer| answer.status == 200)
}

/// A balancer that knows nothing but connections and readiness, as those of a cloud.
async fn balance(listener: TcpListener, fronts: Vec<SocketAddr>) {
    let ready: Arc<Vec<AtomicBool>> =
        Arc::new(fronts.iter().map(|_| AtomicBool::new(true)).collect());
    let mut tasks = JoinSet::new();
    for (at, address) in fronts.iter().copied().enumerate() {
        let ready = Arc::clone(&ready);
        tasks.spawn(async move {
            let mut looks = interval(Duration::from_millis(50));
            loop {
                looks.tick().await;
                ready[at].store(is_ready(address).await, Ordering::Relaxed);
            }
        });
    }
    for turn in 0_usize.. {
        let Ok((mut client, _)) = listener.accept().await else {
            return;
        };
        let order = (0..fronts.len()).map(|at| (turn + at) % fronts.len());
        let candidates: Vec<SocketAddr> = order
            .filter(|at| ready[*at].load(Ordering::Relaxed))
            .map(|at| fronts[at])
            .collect();
        tasks.spawn(async move {
            for address in candidates {
                if let Ok(mut front) = TcpStream::connect(address).await {
                    drop(copy_bidirectional(&mut client, &mut front).await);
                    return;
                }
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fronts_are_restarted_one_after_another_and_no_request_fails() -> Result<()> {
    if !etcd::is_installed() {
        let test = "fronts::fronts_are_restarted_one_after_another_and_no_request_fails";
        return skipped(test, etcd::NO_ETCD);
    }
    let (per_second, rounds) = (run::sized(50, 300) as u32, run::sized(1, 10));
    let processes = Processes::start().await?;
    let put = Request::json("PUT", "/things/_doc/1?refresh=true", &json!({"n": 1}));
    put.send(processes.fronts[0]).await?.ok()?;
    let mut fronts = Vec::new();
    for _ in 0..NUM_FRONTS {
        let address = ports::held()?.local_addr()?;
        fronts.push(Front::start(&processes, address)?);
    }
    for front in &fronts {
        front.ready().await?;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let balancer = listener.local_addr()?;
    let addresses = fronts.iter().map(|front| front.address).collect();
    let balancing = tokio::spawn(balance(listener, addresses));
    let is_over = Arc::new(AtomicBool::new(false));
    let answers = Arc::<Mutex<Vec<Result<()>>>>::default();
    let asking = tokio::spawn({
        let is_over = Arc::clone(&is_over);
        let answers = Arc::clone(&answers);
        at_rate(per_second, is_over, move |_, _| {
            let answers = Arc::clone(&answers);
            async move {
                let counted = counted(balancer).await;
                answers.lock().push(counted);
            }
        })
    });
    for _ in 0..rounds {
        for front in &mut fronts {
            front.stop().await?;
            *front = Front::start(&processes, front.address)?;
            front.ready().await?;
            // The balancer is to see it.
            sleep(Duration::from_millis(200)).await;
        }
    }
    is_over.store(true, Ordering::Relaxed);
    asking.await?;
    balancing.abort();
    let answers = std::mem::take(&mut *answers.lock());
    let num_asked = answers.len();
    answers.into_iter().collect::<Result<()>>()?;
    run::report(
        "rolling",
        &json!({"asked": num_asked, "restarts": rounds * NUM_FRONTS, "failed": 0}),
    )?;
    ensure!(num_asked > 0, "nobody asked");
    Ok(())
}
