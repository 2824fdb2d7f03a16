//! Finds the operation of a request.

use std::borrow::Cow;

use matricula_api::operations;
use matricula_core::{Job, Operation, RetrySafety, ServerUrl};
use percent_encoding::percent_decode_str;
use ruma_common::api::{Metadata, path_builder::PathBuilder};

/// The job for a request of the type `R` to `path`, with the properties of its operation.
///
/// For an operation that matricula does not know, the whole body counts as secret.
pub(crate) fn job_for<R: Metadata>(
    server: &ServerUrl,
    path: &str,
    method: matricula_core::Method,
) -> Job {
    let known = known::<R>(method, path);
    let Some(first) = known.first() else {
        let name = R::PATH_BUILDER.all_paths().last().unwrap_or_default();
        return Job::new(server, path, method, name).with_request_secrets(vec!["/*".into()]);
    };
    let job = Job::for_operation(server, path, first);
    if known.len() == 1 {
        return job;
    }
    // They differ only in their bodies, so the most careful settings are right for all.
    let careful = known
        .iter()
        .find(|one| one.retry_safety == RetrySafety::OnlyIfNotProcessed);
    let retry = careful.unwrap_or(first).retry_safety;
    job.with_retry_safety(retry)
        .with_request_secrets(names(&known, |one| one.request_secrets))
        .with_query_secrets(names(&known, |one| one.query_secrets))
}

/// The authentication of the operation of `R`, if matricula knows it.
pub(crate) fn known<R: Metadata>(
    method: matricula_core::Method,
    path: &str,
) -> Vec<&'static Operation> {
    // Unstable and old paths belong to the same operation.
    let others: Vec<_> = R::PATH_BUILDER.all_paths().collect();
    let paths = [path].into_iter().chain(others.into_iter().rev());
    paths
        .map(|path| at(method, path))
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

/// The operations with this method and path. Those with the fewest path parameters, and then those
/// with the fewest secrets, come first.
fn at(method: matricula_core::Method, path: &str) -> Vec<&'static Operation> {
    let fits = |one: &&Operation| one.method == method && segments(one.path, path).is_some();
    let mut found: Vec<_> = operations().filter(fits).collect();
    let parameters = |one: &Operation| one.path.matches('{').count();
    found.sort_by_key(|one| (parameters(one), one.request_secrets.len()));
    if let Some(fewest) = found.first().map(|one| parameters(one)) {
        found.retain(|one| parameters(one) == fewest);
    }
    found
}

fn names(
    known: &[&Operation],
    of: fn(&Operation) -> &'static [&'static str],
) -> Vec<Cow<'static, str>> {
    let all = known.iter().flat_map(|one| of(one));
    all.map(|&name| Cow::Borrowed(name)).collect()
}

/// The decoded parameters of `template` in `path`; `None` if `path` does not match.
pub(crate) fn segments(template: &str, path: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut actual = path.split('/');
    for expected in template.split('/') {
        let actual = actual.next()?;
        if expected.starts_with('{') {
            let text = percent_decode_str(actual).decode_utf8().ok()?;
            found.push(text.into_owned());
        } else if expected != actual {
            return None;
        }
    }
    actual.next().is_none().then_some(found)
}
