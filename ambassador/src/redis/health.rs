//! Servers watched: one that does not answer is out at once, and one that came back is in again once it has
//! answered twice and what it missed is mended.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis_protocol::resp2::types::{BytesFrame, Resp2Frame};
use tokio::time::{Instant, sleep};

use super::connection::{Coming, Connection, Lost, ServerError};
use super::pool::Pool;
use super::request::Request;
use super::server::{Missed, Server};

/// Between two questions to a server.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// Between two tries to reach a server that is out, and between the two answers that it gives before it is in. A server
/// that is back is in within two seconds, however long it was away.
const TRIED_EVERY: Duration = Duration::from_millis(250);

/// How often it is looked whether what was under way at a server is noted.
const LOOKED_EVERY: Duration = Duration::from_millis(20);

/// Keys that are mended at once.
const MENDED_AT_ONCE: usize = 256;

/// Keeps watch over server `at` of a pool until it is aborted.
pub(crate) async fn watch(pool: Arc<Pool>, at: usize) {
    let server = &pool.servers[at];
    loop {
        match watch_connection(&pool, server).await {
            Ok(()) => {}
            Err(error) => {
                server.take_out(&error.to_string());
                pool.gauge();
            }
        }
        sleep(TRIED_EVERY).await;
    }
}

/// Asks a server once a second until it fails.
async fn watch_connection(pool: &Pool, server: &Server) -> Result<(), ServerError> {
    let within = pool.timeout;
    let probe = server.connect(&pool.budget, within).await?;
    Server::ping(&probe, within).await?;
    pool.learn_commands(&probe).await?;
    // One that was in before and failed answers twice.
    if server.was_in() {
        sleep(TRIED_EVERY).await;
        Server::ping(&probe, within).await?;
    }
    if pool.copies > 1 {
        settle(server, ASKED_EVERY + 2 * within).await;
    }
    let data = server.connect(&pool.budget, within).await?;
    loop {
        if !server.is_in() {
            mend(pool, server, &data).await?;
            server.bring_in(&data);
            pool.gauge();
        }
        tokio::select! {
            () = data.ended() => return Err(ServerError::Lost),
            () = sleep(ASKED_EVERY) => Server::ping(&probe, within).await?,
        }
    }
}

/// Waits until all writes whose answers were lost with the server are noted as missed: only then it is known what is to
/// be mended. Their clients wait for other servers no longer than `within`.
async fn settle(server: &Server, within: Duration) {
    let until = Instant::now() + within;
    while !server.has_settled() && Instant::now() < until {
        sleep(LOOKED_EVERY).await;
    }
}

/// Copies to a server what it missed, from the servers that hold the same keys.
///
/// It stays out while this goes on, so each further write of a key puts it on the list again; a copy that was read
/// before such a write is then written over. It is in only when the list is empty.
async fn mend(pool: &Pool, server: &Server, data: &Connection) -> Result<(), ServerError> {
    loop {
        let keys = match server.take_missed(MENDED_AT_ONCE) {
            Missed::Keys(keys) if keys.is_empty() => return Ok(()),
            Missed::Keys(keys) => keys,
            Missed::TooMuch => {
                empty(server, data).await?;
                continue;
            }
        };
        if let Err(error) = mend_keys(pool, server, data, &keys).await {
            server.miss(&keys);
            return Err(error);
        }
    }
}

/// A server that missed more than is remembered may come back only if it holds nothing.
async fn empty(server: &Server, data: &Connection) -> Result<(), ServerError> {
    let size = data.ask(&Request::of(["DBSIZE"])).await;
    let size = size.map_err(|Lost| ServerError::Lost)?;
    if matches!(size.frame(), BytesFrame::Integer(0)) {
        server.forget_missed();
        return Ok(());
    }
    Err(ServerError::Refused(
        "it missed more writes than are remembered; empty it with FLUSHALL, and it comes back"
            .to_owned(),
    ))
}

async fn mend_keys(
    pool: &Pool,
    server: &Server,
    data: &Connection,
    keys: &[Bytes],
) -> Result<(), ServerError> {
    let mut writes: Vec<Coming> = Vec::with_capacity(keys.len());
    for key in keys {
        let Some(other) = pool.other_holder(key, server) else {
            // No other copy is in: what this one has is the newest that there is.
            continue;
        };
        let dump = other.send(Request::of([&b"DUMP"[..], key]).raw).await;
        let left = other.send(Request::of([&b"PTTL"[..], key]).raw).await;
        let dump = dump.await.map_err(|_| ServerError::Lost)?;
        let left = left.await.map_err(|_| ServerError::Lost)?;
        let write = match (&dump.frame(), &left.frame()) {
            // It ended in between.
            (BytesFrame::Null, _) | (_, BytesFrame::Integer(-2)) => Request::of([&b"DEL"[..], key]),
            (BytesFrame::BulkString(value), BytesFrame::Integer(left)) => {
                // For `RESTORE` 0 is a key that does not end, for `PTTL` it is -1.
                let left = if *left < 0 { 0 } else { (*left).max(1) };
                let left = left.to_string();
                Request::of([&b"RESTORE"[..], key, left.as_bytes(), value, b"REPLACE"])
            }
            (other, _) => {
                let said = other
                    .as_str()
                    .unwrap_or("something else than was asked for");
                let key = String::from_utf8_lossy(&key[..key.len().min(128)]);
                return Err(ServerError::Refused(format!(
                    "the key `{key}` cannot be copied to it: {said}"
                )));
            }
        };
        let lease = pool.budget.take(write.cost()).await;
        let lease = lease.map_err(|short| ServerError::Refused(short.to_string()))?;
        writes.push(data.send(write.holding(lease).raw).await);
    }
    for write in writes {
        let answer = write.await.map_err(|_| ServerError::Lost)?;
        if answer.is_error() {
            return Err(ServerError::Refused(answer.text()));
        }
    }
    Ok(())
}
