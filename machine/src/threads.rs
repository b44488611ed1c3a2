//! The threads of this process, and how much of a processor each takes.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::proc;

/// A thread, with the processor time that it has taken since it was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadTime {
    /// Its number in the system.
    pub id: u32,
    /// Its name, of which the system keeps 15 bytes.
    pub name: String,
    /// What it has taken.
    pub processor: Duration,
}

/// Returns the threads of this process, in any order; `None` where there is no `/proc`. One that ends meanwhile is left
/// out.
pub fn read() -> Option<Vec<ThreadTime>> {
    let tasks = fs::read_dir("/proc/self/task").ok()?;
    Some(
        tasks
            .flatten()
            .filter_map(|task| of(&task.path()))
            .collect(),
    )
}

fn of(folder: &Path) -> Option<ThreadTime> {
    let id = folder.file_name()?.to_str()?.parse().ok()?;
    let name = fs::read_to_string(folder.join("comm")).ok()?;
    Some(ThreadTime {
        id,
        name: name.trim_end().to_owned(),
        processor: proc::thread_time(folder)?,
    })
}

/// Returns the threads that took most between two looks, with what they took then: the busiest first, equals by their
/// number. What a thread that was not there `before` has taken, it took since.
pub fn busiest(before: &[ThreadTime], after: Vec<ThreadTime>) -> Vec<ThreadTime> {
    let known: HashMap<u32, Duration> = before.iter().map(|of| (of.id, of.processor)).collect();
    let since = |thread: ThreadTime| {
        let earlier = known.get(&thread.id).copied().unwrap_or_default();
        ThreadTime {
            // A number that is given again is that of another thread.
            processor: thread.processor.saturating_sub(earlier),
            ..thread
        }
    };
    let mut threads: Vec<ThreadTime> = after.into_iter().map(since).collect();
    threads.sort_by_key(|of| (std::cmp::Reverse(of.processor), of.id));
    threads
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(id: u32, millis: u64) -> ThreadTime {
        ThreadTime {
            id,
            name: format!("worker-{id}"),
            processor: Duration::from_millis(millis),
        }
    }

    #[test]
    fn the_busiest_between_two_looks_comes_first() {
        let before = [thread(1, 500), thread(2, 10), thread(3, 900)];
        let after = vec![thread(1, 510), thread(2, 40), thread(3, 5), thread(4, 30)];
        let shown = busiest(&before, after);
        let expected = [thread(2, 30), thread(4, 30), thread(1, 10), thread(3, 0)];
        assert_eq!(shown, expected);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_thread_is_one_of_them() {
        let named = std::thread::Builder::new().name("looked-at".to_owned());
        let looking = named.spawn(read).expect("a thread");
        let threads = looking.join().expect("it ends").expect("there is /proc");
        assert!(threads.iter().any(|thread| thread.name == "looked-at"));
    }
}
