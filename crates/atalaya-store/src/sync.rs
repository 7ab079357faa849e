//! Locks of values that hold no half-done change.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, also after another holder panicked: nothing that is kept behind a lock here is changed in
/// two steps, so what a panic left behind is whole.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
