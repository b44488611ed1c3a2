//! The calls of Linux, for which neither the standard library nor rustix has functions: `sched_getattr(2)`,
//! `sched_setattr(2)`; and the clock of a thread, which rustix reads through a page of the kernel's that a process under
//! valgrind does not have.

use std::time::Duration;

use libc::{SYS_sched_getattr, SYS_sched_setattr, c_uint, sched_attr, syscall};

use super::TimeSlice;

/// The thread that calls.
const SELF: libc::pid_t = 0;

/// No flags: of the calls themselves, and of the attributes.
const NONE: c_uint = 0;

/// Returns the processor time that the calling thread has taken; none where the system does not say.
#[expect(
    unsafe_code,
    reason = "the standard library has no clock of a thread, and rustix's aborts under valgrind"
)]
pub(crate) fn thread_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the system writes a `timespec` to the address, which is that of `time`: it is borrowed for the call and
    // outlives it.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    match failed {
        0 => Duration::new(seconds, nanos),
        _ => Duration::ZERO,
    }
}

/// As [`TimeSlice::request`].
pub(crate) fn request(slice: TimeSlice) -> bool {
    let Some(mut attributes) = attributes() else {
        return false;
    };
    // Under real-time policies the same field is a budget, and idle threads are to stay idle ones.
    let policies = [libc::SCHED_OTHER, libc::SCHED_BATCH];
    if !policies.contains(&(attributes.sched_policy as libc::c_int)) {
        return false;
    }
    attributes.sched_runtime = slice.length().as_nanos() as u64;
    set(&mut attributes)
}

/// Returns how the calling thread is scheduled.
#[expect(
    unsafe_code,
    reason = "no library has the call (decision 0027 has what it brings)"
)]
fn attributes() -> Option<sched_attr> {
    let size = size_of::<sched_attr>() as c_uint;
    // SAFETY: `sched_attr` is numbers only, for which zeros are values.
    let mut attributes: sched_attr = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most `size` bytes to the address, which are those of `attributes`: it is
    // borrowed for the call and outlives it. The kernel keeps no address.
    let failed = unsafe { syscall(SYS_sched_getattr, SELF, &raw mut attributes, size, NONE) };
    (failed == 0).then_some(attributes)
}

/// Sets how it is scheduled.
#[expect(
    unsafe_code,
    reason = "no library has the call (decision 0027 has what it brings)"
)]
fn set(attributes: &mut sched_attr) -> bool {
    attributes.size = size_of::<sched_attr>() as u32;
    // SAFETY: the kernel reads the number of bytes that `size` within says, which is that of the whole value
    // behind the address, and writes there at most that `size` when it refuses it; the value is borrowed for the
    // call and outlives it. The call changes nothing but when the calling thread runs.
    let failed = unsafe { syscall(SYS_sched_setattr, SELF, &raw mut *attributes, NONE) };
    failed == 0
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn only_the_turns_of_the_calling_thread_change() {
        let before = attributes().expect("Linux has told since 3.14");
        let other = thread::spawn(move || {
            assert!(request(TimeSlice::Short));
            let short = attributes().expect("as above");
            assert!(request(TimeSlice::Long));
            (short, attributes().expect("as above"))
        });
        let (short, long) = other.join().expect("it does not panic");
        for asked in [&short, &long] {
            assert_eq!(asked.sched_policy, before.sched_policy);
            assert_eq!(asked.sched_nice, before.sched_nice);
            assert_eq!(asked.sched_flags, before.sched_flags);
        }
        // Linux tells it since it takes it.
        if before.sched_runtime > 0 {
            let asked =
                [TimeSlice::Short, TimeSlice::Long].map(|slice| slice.length().as_nanos() as u64);
            assert_eq!([short.sched_runtime, long.sched_runtime], asked);
        }
        let after = attributes().expect("as above");
        assert_eq!(after.sched_runtime, before.sched_runtime);
    }

    #[test]
    fn a_policy_that_was_chosen_stays() {
        let idle = thread::spawn(|| {
            let mut attributes = attributes().expect("Linux has told since 3.14");
            attributes.sched_policy = libc::SCHED_IDLE as u32;
            assert!(set(&mut attributes));
            assert!(!request(TimeSlice::Long));
            super::attributes().expect("as above").sched_policy
        });
        let policy = idle.join().expect("it does not panic");
        assert_eq!(policy, libc::SCHED_IDLE as u32);
    }
}
