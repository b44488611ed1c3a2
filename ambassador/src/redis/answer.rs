//! Answers waited for: of the first copy, of another one where that fails, of the parts of a divided request.

use bytes::Bytes;
use redis_protocol::resp2::types::{BytesFrame, Resp2Frame};

use super::pool::Pool;
use super::received::Answer;
use super::reply;
use super::route::{Join, Part, Pending, Sent};

/// Waits for what a client is answered.
pub(crate) async fn wait(pool: &Pool, pending: Pending) -> Bytes {
    match pending {
        Pending::Ready(bytes) | Pending::Last(bytes) => bytes,
        Pending::Sent(sent) => match of_sent(pool, sent).await {
            Ok(answer) => answer.raw,
            Err(why) => reply::error(&why),
        },
        Pending::Divided { parts, join } => of_parts(pool, parts, join).await,
    }
}

async fn of_sent(pool: &Pool, sent: Sent) -> Result<Answer, String> {
    if sent.asked.is_empty() {
        return Err(sent.why_none);
    }
    if sent.writes {
        return of_write(pool, sent).await;
    }
    of_read(pool, sent).await
}

/// A read is asked again of the next copy where the connection was lost.
async fn of_read(pool: &Pool, sent: Sent) -> Result<Answer, String> {
    let mut why = sent.why_none;
    for (at, coming) in sent.asked {
        match coming.await {
            Ok(answer) => return Ok(answer),
            Err(_) => why = lost(pool, at),
        }
    }
    for at in sent.others {
        let Ok(connection) = pool.servers[at].connection() else {
            continue;
        };
        match connection.ask(&sent.request).await {
            Ok(answer) => return Ok(answer),
            Err(_) => why = lost(pool, at),
        }
    }
    Err(why)
}

/// A write is done when one copy has done it; one that may not have is out until that is mended.
async fn of_write(pool: &Pool, sent: Sent) -> Result<Answer, String> {
    let mut first: Option<Answer> = None;
    let mut why = sent.why_none;
    let mut failed = Vec::new();
    for (at, coming) in sent.asked {
        match coming.await {
            Ok(answer) => match &first {
                None => first = Some(answer),
                // One refused what another did: memory at its end, or a value that differs.
                Some(known) if known.is_error() != answer.is_error() => failed.push(at),
                Some(_) => {}
            },
            Err(_) => {
                why = format!("{}; whether it was done is not known", lost(pool, at));
                failed.push(at);
            }
        }
    }
    for at in failed {
        pool.note_missed(at, &sent.keys, "it may have missed a write");
    }
    first.ok_or(why)
}

fn lost(pool: &Pool, at: usize) -> String {
    format!("the connection to {} was lost", pool.servers[at].name)
}

async fn of_parts(pool: &Pool, parts: Vec<Part>, join: Join) -> Bytes {
    let mut answers = Vec::with_capacity(parts.len());
    let mut failure = None;
    // All are waited for: what a failed one leaves behind is then known.
    for part in parts {
        match of_sent(pool, part.sent).await {
            Err(why) => failure = failure.or(Some(reply::error(&why))),
            Ok(answer) if answer.is_error() => failure = failure.or(Some(answer.raw)),
            Ok(answer) => answers.push((part.places, answer)),
        }
    }
    if let Some(failure) = failure {
        return failure;
    }
    // What is read of the answers, and the bytes of the whole.
    let costs = answers
        .iter()
        .map(|(_, answer)| 2 * answer.cost() + answer.raw.len());
    let lease = match pool.budget.take(costs.sum()).await {
        Ok(lease) => lease,
        Err(short) => return reply::error(&short.to_string()),
    };
    match joined(answers, join) {
        Ok(frame) => {
            let whole = reply::encode(&frame);
            drop(frame);
            lease.hold(whole)
        }
        Err(failure) => failure,
    }
}

/// Makes the answers to parts one.
fn joined(answers: Vec<(Vec<usize>, Answer)>, join: Join) -> Result<BytesFrame, Bytes> {
    let count = answers.iter().map(|(places, _)| places.len()).sum();
    let mut list = vec![BytesFrame::Null; count];
    let mut sum = 0;
    for (places, answer) in answers {
        match (join, answer.frame()) {
            (Join::Lists, BytesFrame::Array(values)) if values.len() == places.len() => {
                for (place, value) in places.into_iter().zip(values) {
                    list[place] = value;
                }
            }
            (Join::Sum, BytesFrame::Integer(number)) => sum += number,
            (Join::Ok, BytesFrame::SimpleString(_)) => {}
            (_, other) => {
                let kind = other.kind();
                let message = format!("a server answered part of the request with {kind:?}");
                return Err(reply::error(&message));
            }
        }
    }
    Ok(match join {
        Join::Lists => BytesFrame::Array(list),
        Join::Sum => BytesFrame::Integer(sum),
        Join::Ok => BytesFrame::SimpleString(Bytes::from_static(b"OK")),
    })
}
