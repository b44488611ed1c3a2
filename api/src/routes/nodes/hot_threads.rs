//! `_nodes/hot_threads`: which threads of this node take most of a processor, looked at twice.
//!
//! A node shows its own threads only: no call between nodes asks for those of others. There are no stacks: how long a
//! thread ran is read, not what it did.

use std::fmt::Write as _;
use std::time::Duration;

use gleaner_machine::threads::{self, ThreadTime};

use super::members::{Member, members};
use super::selection;
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::render::units::{date_text, time_text};
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::routes::address::host;

/// Threads shown by default, as in the dialect.
const DEFAULT_THREADS: usize = 3;

/// Most threads that a request may ask for.
const MAX_THREADS: usize = 1_000;

/// Default time between the two readings, as in the dialect.
const DEFAULT_INTERVAL: Duration = Duration::from_millis(500);

/// Longest time between the two readings: the request is held for it.
const MAX_INTERVAL: Duration = Duration::from_secs(30);

/// What is asked for.
#[derive(Debug, Clone, Copy)]
struct Look {
    num_threads: usize,
    interval: Duration,
    ignores_idle: bool,
}

impl Look {
    fn of(request: &Request) -> Result<Self, ApiError> {
        let parameters = &request.parameters;
        match parameters.get("type") {
            None | Some("cpu") => {}
            Some(other @ ("wait" | "block" | "mem" | "gpu")) => {
                return Err(ApiError::illegal(format!(
                    "[type] [{other}] is not supported: only processor time is counted by thread, [cpu]"
                )));
            }
            Some(other) => {
                return Err(ApiError::illegal(format!("type not supported [{other}]")));
            }
        }
        check_without_effect(parameters)?;
        let interval = parameters.time("interval")?.unwrap_or(DEFAULT_INTERVAL);
        if interval.is_zero() || interval > MAX_INTERVAL {
            return Err(ApiError::illegal(format!(
                "[interval] must be more than 0 and at most [{}s]",
                MAX_INTERVAL.as_secs()
            )));
        }
        let num_threads = parameters.number("threads")?.unwrap_or(DEFAULT_THREADS);
        if !(1..=MAX_THREADS).contains(&num_threads) {
            return Err(ApiError::illegal(format!(
                "[threads] must be between 1 and {MAX_THREADS}, it is [{num_threads}]"
            )));
        }
        Ok(Self {
            num_threads,
            interval,
            ignores_idle: parameters.flag("ignore_idle_threads")?.unwrap_or(true),
        })
    }
}

/// Refuses values that the dialect does not know of the parameters that change nothing here.
fn check_without_effect(parameters: &Parameters) -> Result<(), ApiError> {
    if let Some(order) = parameters.get("sort")
        && !matches!(order, "cpu" | "total")
    {
        let reason = format!("sort order not supported [{order}]");
        return Err(ApiError::illegal(reason));
    }
    parameters.number::<u32>("snapshots").map(drop)
}

pub(super) async fn answer(request: Request) -> Answer {
    let look = Look::of(&request)?;
    let members = selection::named(&request, request.part("node"), members(&request).await)?;
    let mut text = String::new();
    for member in &members {
        heading(member, &mut text);
        match member.name == request.app.options.node_name {
            true => {
                let now_ms = request.root().cluster().now_ms();
                let threads = looked_at(look.interval).await?;
                report(look, now_ms, threads, &mut text);
            }
            false => text.push_str("   Ask this node itself for its threads.\n\n"),
        }
    }
    Ok(Reply::text(text))
}

/// Returns the threads with what they took during `interval`; `None` where the system does not tell.
async fn looked_at(interval: Duration) -> Result<Option<Vec<ThreadTime>>, ApiError> {
    let before = read().await?;
    tokio::time::sleep(interval).await;
    let after = read().await?;
    Ok(before
        .zip(after)
        .map(|(before, after)| threads::busiest(&before, after)))
}

/// Reads on a thread that may block: there are two files for each thread.
async fn read() -> Result<Option<Vec<ThreadTime>>, ApiError> {
    let read = tokio::task::spawn_blocking(threads::read).await;
    read.map_err(|error| {
        let status = http::StatusCode::INTERNAL_SERVER_ERROR;
        ApiError::new(
            status,
            "exception",
            format!("threads were not read: {error}"),
        )
    })
}

fn heading(member: &Member, text: &mut String) {
    let roles: String = member
        .roles
        .iter()
        .filter_map(|role| role.chars().next())
        .collect();
    let (name, id, address) = (&member.name, &member.id, &member.address);
    let host = host(address);
    writeln!(
        text,
        "::: {{{name}}}{{{id}}}{{{host}}}{{{address}}}{{{roles}}}"
    )
    .expect("a string takes all");
}

fn report(look: Look, now_ms: i64, threads: Option<Vec<ThreadTime>>, text: &mut String) {
    let Some(threads) = threads else {
        text.push_str("   This system does not say how long its threads run.\n\n");
        return;
    };
    let Look {
        num_threads,
        interval,
        ignores_idle,
    } = look;
    let of = time_text(interval.as_millis() as u64);
    let at = date_text(now_ms).unwrap_or_default();
    writeln!(
        text,
        "   Hot threads at {at}, interval={of}, busiestThreads={num_threads}, ignoreIdleThreads={ignores_idle}:\n"
    )
    .expect("a string takes all");
    let busy = threads
        .into_iter()
        .filter(|thread| !ignores_idle || !thread.processor.is_zero());
    for ThreadTime {
        id,
        name,
        processor,
    } in busy.take(num_threads)
    {
        let percent = 100.0 * processor.as_secs_f64() / interval.as_secs_f64();
        let took = took_text(processor);
        writeln!(
            text,
            "   {percent:>5.1}% ({took} out of {of}) cpu usage by thread '{name}' [{id}]"
        )
        .expect("a string takes all");
    }
    text.push('\n');
}

/// Returns a time of which a part of a millisecond counts.
fn took_text(took: Duration) -> String {
    match took.as_micros() {
        micros @ 0..1_000 => format!("{micros}micros"),
        micros => time_text((micros / 1_000) as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(id: u32, processor: Duration) -> ThreadTime {
        ThreadTime {
            id,
            name: format!("search-{id}"),
            processor,
        }
    }

    #[test]
    fn the_busiest_threads_are_told_with_their_share() {
        let threads = vec![
            thread(7, Duration::from_millis(250)),
            thread(8, Duration::from_micros(500)),
            thread(9, Duration::ZERO),
        ];
        let look = Look {
            num_threads: 5,
            interval: Duration::from_millis(500),
            ignores_idle: true,
        };
        let mut text = String::new();
        report(look, 0, Some(threads), &mut text);
        let lines: Vec<&str> = text.lines().collect();
        let expected = [
            "   Hot threads at 1970-01-01T00:00:00.000Z, interval=500ms, busiestThreads=5, ignoreIdleThreads=true:",
            "",
            "    50.0% (250ms out of 500ms) cpu usage by thread 'search-7' [7]",
            "     0.1% (500micros out of 500ms) cpu usage by thread 'search-8' [8]",
            "",
        ];
        assert_eq!(lines, expected);
    }
}
