//! `matricula homeserver`.
use super::Context;
use crate::{args, failure::Failure};
pub(crate) async fn run(_: &Context<'_>, _: args::Homeserver) -> Result<(), Failure> {
    Err(Failure::other("not yet"))
}
