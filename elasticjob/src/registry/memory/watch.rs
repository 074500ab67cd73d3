//! The receiving end of a watch.

use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use super::core::Core;
use crate::registry::queue::Queue;
use crate::registry::{Watch, WatchEvent};

/// A watch on a [`MemoryRegistry`](super::MemoryRegistry).
#[derive(Debug)]
pub(super) struct MemoryWatch {
    pub(super) core: Weak<Core>,
    pub(super) session: i64,
    pub(super) path: String,
    pub(super) queue: Arc<Queue>,
}

impl Watch for MemoryWatch {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<WatchEvent> {
        self.queue.poll_pop(cx)
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        if let Some(core) = self.core.upgrade() {
            core.with(|state| state.unwatch(self.session, &self.path, &self.queue));
        }
    }
}
