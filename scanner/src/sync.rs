//! Locks whose holders cannot leave anything half done.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; a panic of another holder does not make the data unusable, as every change under our locks is whole.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
