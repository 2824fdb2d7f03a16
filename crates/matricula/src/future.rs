//! Futures in boxes.
//!
//! Each crate that awaits an async function compiles its body. A body in a box is compiled here, once.

use std::pin::Pin;

/// A future in a box.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Puts a future into a box.
pub(crate) fn boxed<'a, T>(future: impl Future<Output = T> + Send + 'a) -> BoxFuture<'a, T> {
    Box::pin(future)
}
