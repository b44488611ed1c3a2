//! Streams between leaves over links that delay what they carry, hold it back in either direction, and lose hosts.
//!
//! A stream keeps its order. What a link holds back is delivered when it is let go, unless the stream is gone by then; of
//! two streams one after the other, what was said by the first may come after what was said by the second.

mod pump;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use gleaner_proto::node::NodeFault;
use gleaner_proto::replicate::{FollowerMessage, PrimaryMessage};
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{mpsc, oneshot};

pub(super) use pump::LeafPeers;

type FromPrimaries = Result<Vec<PrimaryMessage>, NodeFault>;

/// All links; clones share them.
#[derive(Clone)]
pub(super) struct Links(Arc<Mutex<State>>);

struct State {
    random: SmallRng,
    now_ms: u64,
    next_stream: u64,
    streams: BTreeMap<u64, Stream>,
    /// Directions that hold back what they carry.
    held: BTreeSet<(usize, usize)>,
    /// Most milliseconds that something takes.
    delay_ms: u64,
}

/// A stream that a follower's leaf has opened.
struct Stream {
    follower: usize,
    primary: usize,
    up: Half<Vec<FollowerMessage>>,
    down: Half<FromPrimaries>,
    opening: Opening,
}

/// How far a stream is opened.
enum Opening {
    /// The request arrives at that moment.
    Requested(u64, Requested),
    /// The answer arrives at that moment.
    Answered(u64, oneshot::Sender<()>),
    Done,
}

/// What a request brings.
struct Requested {
    tell: oneshot::Sender<()>,
    said: mpsc::UnboundedReceiver<Vec<FollowerMessage>>,
}

/// One direction of a stream.
struct Half<T> {
    /// What is on its way, and when it arrives; nothing: the end.
    queue: VecDeque<(u64, Option<T>)>,
    to: Option<mpsc::UnboundedSender<T>>,
}

impl<T> Half<T> {
    fn new() -> (Self, mpsc::UnboundedReceiver<T>) {
        let (to, from) = mpsc::unbounded_channel();
        let half = Self {
            queue: VecDeque::new(),
            to: Some(to),
        };
        (half, from)
    }

    fn push(&mut self, due_ms: u64, item: Option<T>) {
        let last = self.queue.back().map_or(0, |(due, _)| *due);
        self.queue.push_back((due_ms.max(last), item));
    }

    fn deliver(&mut self, now_ms: u64) {
        while self.queue.front().is_some_and(|(due, _)| *due <= now_ms) {
            match self.queue.pop_front() {
                Some((_, Some(item))) => {
                    if let Some(to) = &self.to {
                        // An error means that the receiver has ended the stream.
                        drop(to.send(item));
                    }
                }
                _ => self.to = None,
            }
        }
    }

    fn is_over(&self) -> bool {
        self.to
            .as_ref()
            .is_none_or(mpsc::UnboundedSender::is_closed)
    }
}

impl Stream {
    fn is_over(&self) -> bool {
        let is_requested = matches!(self.opening, Opening::Requested(..));
        (is_requested || self.up.is_over()) && self.down.is_over()
    }
}

/// A stream whose request has arrived, to be opened by the leaf of the primary.
pub(super) struct Request {
    pub(super) stream: u64,
    pub(super) primary: usize,
}

impl Links {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: SmallRng::seed_from_u64(seed ^ 0x6c69_6e6b),
            now_ms: 0,
            next_stream: 0,
            streams: BTreeMap::new(),
            held: BTreeSet::new(),
            delay_ms: 4,
        })))
    }

    /// Has a direction hold back what it carries, or lets it go.
    pub(super) fn hold(&self, from: usize, to: usize, is_held: bool) {
        let held = &mut self.0.lock().held;
        match is_held {
            true => held.insert((from, to)),
            false => held.remove(&(from, to)),
        };
    }

    /// Lets all directions go.
    pub(super) fn heal(&self) {
        let mut state = self.0.lock();
        state.held.clear();
        state.delay_ms = 4;
    }

    /// Sets what things take at most.
    pub(super) fn set_delay(&self, delay_ms: u64) {
        self.0.lock().delay_ms = delay_ms;
    }

    /// Delivers what is due; returns the streams that are to be opened.
    pub(super) fn deliver(&self, now_ms: u64) -> Vec<Request> {
        let mut state = self.0.lock();
        let state = &mut *state;
        state.now_ms = now_ms;
        let mut requests = Vec::new();
        for (number, stream) in &mut state.streams {
            let (up, down) = (
                (stream.follower, stream.primary),
                (stream.primary, stream.follower),
            );
            if !state.held.contains(&up) {
                if matches!(stream.opening, Opening::Requested(due, _) if due <= now_ms) {
                    let (stream, primary) = (*number, stream.primary);
                    requests.push(Request { stream, primary });
                }
                stream.up.deliver(now_ms);
            }
            if !state.held.contains(&down) {
                if matches!(stream.opening, Opening::Answered(due, _) if due <= now_ms)
                    && let Opening::Answered(_, tell) =
                        std::mem::replace(&mut stream.opening, Opening::Done)
                {
                    // An error means that nobody waits any longer.
                    _ = tell.send(());
                }
                if matches!(stream.opening, Opening::Done) {
                    stream.down.deliver(now_ms);
                }
            }
        }
        state.streams.retain(|_, stream| !stream.is_over());
        requests
    }

    /// Answers a request to open a stream; returns what is said by it.
    fn accept(&self, stream: u64) -> Option<mpsc::UnboundedReceiver<Vec<FollowerMessage>>> {
        let mut state = self.0.lock();
        let due_ms = state.due_ms();
        let stream = state.streams.get_mut(&stream)?;
        match std::mem::replace(&mut stream.opening, Opening::Done) {
            Opening::Requested(_, Requested { tell, said }) => {
                stream.opening = Opening::Answered(due_ms, tell);
                Some(said)
            }
            other => {
                stream.opening = other;
                None
            }
        }
    }

    /// Forgets a stream that is not opened: who waits for it hears that it is refused.
    pub(super) fn refuse(&self, stream: u64) {
        self.0.lock().streams.remove(&stream);
    }

    /// A leaf's process has ended. Others hear of it soon, or by silence.
    pub(super) fn lose(&self, leaf: usize, is_silent: bool) {
        let mut state = self.0.lock();
        let due_ms = state.due_ms();
        for stream in state.streams.values_mut() {
            if stream.follower == leaf {
                stream.down.to = None;
                if !is_silent {
                    stream.up.push(due_ms, None);
                }
                if matches!(
                    stream.opening,
                    Opening::Requested(..) | Opening::Answered(..)
                ) {
                    stream.opening = Opening::Done;
                }
            } else if stream.primary == leaf {
                stream.up.to = None;
                if !is_silent {
                    stream.down.push(due_ms, None);
                }
            }
        }
    }

    fn request(&self, follower: usize, primary: usize) -> Requesting {
        let mut state = self.0.lock();
        let number = state.next_stream;
        state.next_stream += 1;
        let due_ms = state.due_ms();
        let ((up, said), (down, heard)) = (Half::new(), Half::new());
        let (tell, is_open) = oneshot::channel();
        let stream = Stream {
            follower,
            primary,
            up,
            down,
            opening: Opening::Requested(due_ms, Requested { tell, said }),
        };
        state.streams.insert(number, stream);
        Requesting {
            number,
            heard,
            is_open,
        }
    }

    /// Sends what a follower's leaf says; nothing: the end.
    fn send_up(&self, stream: u64, item: Option<Vec<FollowerMessage>>) {
        let mut state = self.0.lock();
        let due_ms = state.due_ms();
        if let Some(stream) = state.streams.get_mut(&stream) {
            stream.up.push(due_ms, item);
        }
    }

    /// Sends what a primary's leaf says; nothing: the end.
    fn send_down(&self, stream: u64, item: Option<FromPrimaries>) {
        let mut state = self.0.lock();
        let due_ms = state.due_ms();
        if let Some(stream) = state.streams.get_mut(&stream) {
            stream.down.push(due_ms, item);
        }
    }
}

/// A stream that waits to be opened.
struct Requesting {
    number: u64,
    heard: mpsc::UnboundedReceiver<FromPrimaries>,
    is_open: oneshot::Receiver<()>,
}

impl State {
    /// Returns when something that is sent now arrives.
    fn due_ms(&mut self) -> u64 {
        let most = match self.random.random_ratio(1, 200) {
            true => self.delay_ms * 20,
            false => self.delay_ms,
        };
        self.now_ms + self.random.random_range(1..=most.max(1))
    }
}
