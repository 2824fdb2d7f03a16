//! An allocator that counts, for programs that make it theirs.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// The system's allocator, counting.
#[derive(Debug)]
pub struct Counting;

static CALLS: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grown(size: usize) {
    CALLS.fetch_add(1, Relaxed);
    let live = LIVE.fetch_add(size, Relaxed) + size;
    PEAK.fetch_max(live, Relaxed);
}

// SAFETY: every call is passed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_sub(layout.size(), Relaxed);
        grown(size);
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Allocations so far; a buffer that grows counts each time.
pub fn calls() -> usize {
    CALLS.load(Relaxed)
}

/// Bytes that are held now.
pub fn live() -> usize {
    LIVE.load(Relaxed)
}

/// The most bytes that were held since [`begin_peak`].
pub fn peak() -> usize {
    PEAK.load(Relaxed)
}

/// Resets the peak of allocated bytes.
pub fn begin_peak() {
    PEAK.store(live(), Relaxed);
}
