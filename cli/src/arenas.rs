//! How many arenas glibc's allocator keeps. The one module of this room with `unsafe` code.
//!
//! By default glibc gives each thread an arena, up to eight per core, and memory freed in one is not
//! used by another. A server hands documents from thread to thread, so the same bulk load held
//! twice the memory with them (decision 0010).

/// Limits the arenas to one per core; does nothing where the allocator is not glibc's.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "there is no safe interface to mallopt")]
pub(crate) fn limit() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let arenas = libc::c_int::try_from(cores.max(2)).unwrap_or(libc::c_int::MAX);
    // SAFETY: mallopt takes two integers by value and touches only the allocator's own settings. It
    // is called first thing in `main`, before any other thread exists.
    let is_set = unsafe { libc::mallopt(libc::M_ARENA_MAX, arenas) };
    debug_assert_eq!(is_set, 1, "M_ARENA_MAX is known to every glibc since 2.10");
}

/// Limits the arenas to one per core; does nothing where the allocator is not glibc's.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn limit() {}
