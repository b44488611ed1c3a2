//! The allocator of the process, C libraries included: jemalloc.
//!
//! A server hands documents from thread to thread, so much is freed where it was not allocated, and in
//! sizes that no cache of glibc's keeps; decision 0010 has what that cost.

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Freed pages go back to the system after a fifth of a second; by default they stay for ten (jemalloc's
/// manual, `opt.dirty_decay_ms`). A thread of its own does that while nothing else happens.
// SAFETY: jemalloc takes the symbol for a pointer to a string that ends with NUL, reads it before the
// first allocation and never writes to it; a reference to an array is such a pointer.
#[expect(
    unsafe_code,
    reason = "settings are read before any code of ours could make them"
)]
#[unsafe(export_name = "malloc_conf")]
static SETTINGS: &[u8; 36] = b"dirty_decay_ms:200,muzzy_decay_ms:0\0";
