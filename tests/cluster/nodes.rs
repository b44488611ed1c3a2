//! What the tables of nodes say of each process of a cluster.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::processes::Processes;
use gleaner_testkit::{etcd, skipped};
use serde_json::{Value, json};

/// Columns that a leaf tells, and those that the cluster state does.
const TOLD: &str = "heap.percent,ram.percent,cpu,load_1m,load_5m,load_15m,pid,build,uptime,disk.total,\
                    disk.used,disk.avail,disk.used_percent,heap.max,ram.current,ram.max,\
                    file_desc.current,file_desc.percent,file_desc.max";

async fn got(cluster: &Processes, path: &str) -> Result<Value> {
    cluster.send(&Request::new("GET", path)).await?.ok()
}

/// Asks for the table with the columns that leaves tell.
fn table() -> Request {
    let path = format!("/_cat/nodes?format=json&bytes=b&h=name,node.role,{TOLD}");
    Request::new("GET", &path)
}

/// Returns the row of a node in a table.
fn row(table: &Response, name: &str) -> Option<Value> {
    let rows = table.json().ok()?;
    let mut rows = rows.as_array()?.iter();
    rows.find(|row| row["name"] == name).cloned()
}

/// Returns whether each of the columns in `row` holds a figure.
fn is_told(row: &Value) -> bool {
    TOLD.split(',').all(|column| row[column].is_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_node_tells_its_own_figures() -> Result<()> {
    if !etcd::is_installed() {
        let test = "cluster::each_node_tells_its_own_figures";
        return skipped(test, etcd::NO_ETCD);
    }
    let cluster = Processes::start(2).await?;
    let names = ["root-1", "leaf-1", "leaf-2"];
    let are_told = |answer: &Response| {
        let mut names = names.iter();
        names.all(|name| row(answer, name).is_some_and(|row| is_told(&row)))
    };
    let shown = cluster.until(&table(), are_told).await?;
    for name in names {
        let row = row(&shown, name).context("a row")?;
        // Nobody else can know it.
        let pid = cluster.pid(name)?.to_string();
        ensure!(row["pid"] == pid, "{row}");
        let number = |column: &str| -> Result<f64> {
            let text = row[column].as_str().context("a figure")?;
            Ok(text.parse()?)
        };
        for column in ["heap.percent", "ram.percent", "cpu", "disk.used_percent"] {
            ensure!((0.0..=100.0).contains(&number(column)?), "{column}: {row}");
        }
        for column in ["disk.total", "ram.max", "heap.max", "file_desc.current"] {
            ensure!(number(column)? > 0.0, "{column}: {row}");
        }
        ensure!(number("disk.used")? + number("disk.avail")? == number("disk.total")?);
    }
    let stats = got(&cluster, "/_nodes/stats/os,process,fs,jvm").await?;
    for name in names {
        let node = &stats["nodes"][name];
        for path in [
            "/process/mem/resident_in_bytes",
            "/process/max_file_descriptors",
            "/os/mem/total_in_bytes",
            "/fs/total/total_in_bytes",
            "/jvm/mem/heap_max_in_bytes",
        ] {
            let figure = node.pointer(path).and_then(Value::as_u64);
            ensure!(figure.is_some_and(|figure| figure > 0), "{path}: {node}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disks_of_leaves_are_in_the_table_of_allocation() -> Result<()> {
    if !etcd::is_installed() {
        let test = "cluster::the_disks_of_leaves_are_in_the_table_of_allocation";
        return skipped(test, etcd::NO_ETCD);
    }
    let cluster = Processes::start(2).await?;
    let settings = json!({"number_of_shards": 4, "number_of_replicas": 0});
    let create = Request::json("PUT", "/notes", &json!({"settings": settings}));
    cluster.send(&create).await?.ok()?;
    let columns = "node,shards,disk.indices,disk.used,disk.avail,disk.total,disk.percent";
    let path = format!("/_cat/allocation?format=json&bytes=b&h={columns}");
    let are_told = |answer: &Response| {
        let rows = answer.json().unwrap_or_default();
        let rows = rows.as_array().cloned().unwrap_or_default();
        let is_told = |row: &Value| columns.split(',').all(|column| row[column].is_string());
        rows.len() == 2 && rows.iter().all(is_told)
    };
    let shown = cluster.until(&Request::new("GET", &path), are_told).await?;
    for row in shown.ok()?.as_array().context("rows")? {
        let number = |column: &str| -> Result<u64> {
            Ok(row[column].as_str().context("a figure")?.parse()?)
        };
        let (used, avail) = (number("disk.used")?, number("disk.avail")?);
        ensure!(used + avail == number("disk.total")?, "{row}");
        ensure!((1..=100).contains(&number("disk.percent")?), "{row}");
        ensure!(number("disk.indices")? <= used, "{row}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_that_is_silent_is_listed_without_figures_and_one_that_is_gone_is_not() -> Result<()>
{
    let mut cluster = Processes::start(2).await?;
    cluster.freeze("leaf-2")?;
    let shown = cluster.send(&table()).await?;
    let silent = row(&shown, "leaf-2").context("it is a member")?;
    for column in TOLD.split(',') {
        ensure!(silent[column].is_null(), "{column}: {silent}");
    }
    ensure!(silent["node.role"] == "d", "{silent}");
    let text = "/_cat/nodes?h=heap.percent,cpu,load_1m,node.role,name&s=name";
    let text = cluster.send(&Request::new("GET", text)).await?;
    let text = String::from_utf8(text.body)?;
    let words =
        |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
    let mut lines = text.lines().map(words);
    let silent = lines.find(|words| words.last().is_some_and(|name| name == "leaf-2"));
    assert_eq!(silent.context("a line")?, ["-", "-", "-", "d", "leaf-2"]);

    cluster.thaw("leaf-2")?;
    let is_back =
        |answer: &Response| row(answer, "leaf-2").is_some_and(|row| row["pid"].is_string());
    cluster.until(&table(), is_back).await?;
    cluster.kill("leaf-2")?;
    let is_gone = |answer: &Response| row(answer, "leaf-2").is_none();
    let left = cluster.until(&table(), is_gone).await?;
    ensure!(
        row(&left, "leaf-1").is_some_and(|row| is_told(&row)),
        "{}",
        left.shown()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_of_leaves_add_up_to_those_of_the_cluster() -> Result<()> {
    if !etcd::is_installed() {
        let test = "cluster::statistics_of_leaves_add_up_to_those_of_the_cluster";
        return skipped(test, etcd::NO_ETCD);
    }
    let cluster = Processes::start(2).await?;
    let settings = json!({"number_of_shards": 4, "number_of_replicas": 1});
    let create = Request::json("PUT", "/notes", &json!({"settings": settings}));
    cluster.send(&create).await?.ok()?;
    for n in 0..8 {
        let path = format!("/notes/_doc/{n}?refresh=true");
        let put = Request::json("PUT", &path, &json!({"n": n}));
        cluster.send(&put).await?.ok()?;
    }
    let figures = |stats: &Value| {
        let indices = &stats["indices"];
        let [docs, shards] = [&indices["docs"]["count"], &indices["shards"]["total"]];
        (docs.as_u64().unwrap_or(0), shards.as_u64().unwrap_or(0))
    };
    let stats = Request::new("GET", "/_cluster/stats");
    let is_whole = |answer: &Response| figures(&answer.json().unwrap_or_default()) == (8, 8);
    cluster.until(&stats, is_whole).await?;
    let mut sums = (0, 0);
    for leaf in ["leaf-1", "leaf-2"] {
        let stats = got(&cluster, &format!("/_cluster/stats/nodes/{leaf}")).await?;
        let (docs, shards) = figures(&stats);
        assert_eq!(shards, 4, "{leaf}: {stats}");
        sums = (sums.0 + docs, sums.1 + shards);
    }
    assert_eq!(sums, (8, 8));
    let roots = got(&cluster, "/_cluster/stats/nodes/data:false,master:true").await?;
    assert_eq!(figures(&roots), (0, 0));
    Ok(())
}
