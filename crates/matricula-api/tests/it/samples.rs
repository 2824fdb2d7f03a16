//! A body of our own for every operation, with every field that the specification names: checked in,
//! so that tests need no specification; `spec::samples` keeps them whole.

use std::{collections::BTreeMap, path::PathBuf, sync::LazyLock};

use matricula_api::server::AnyEndpoint;
use matricula_core::Api;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::apis::{APIS, name};

/// The JSON bodies of an operation; null if it has none.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// A request with the required fields.
    pub(crate) required: Value,
    /// A request with everything.
    pub(crate) request: Value,
    /// A response with all fields.
    pub(crate) answer: Value,
}

/// The file of an API's samples.
pub(crate) fn file(api: Api) -> PathBuf {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/samples");
    PathBuf::from(format!("{directory}/{}.json", api.as_str()))
}

/// The sample of this operation.
pub(crate) fn of(endpoint: &AnyEndpoint) -> &'static Sample {
    static READ: LazyLock<BTreeMap<String, Sample>> = LazyLock::new(|| {
        let mut all = BTreeMap::new();
        for (api, _) in APIS {
            let text = std::fs::read_to_string(file(api)).unwrap();
            let samples: BTreeMap<String, Sample> = serde_json::from_str(&text).unwrap();
            let named = samples.into_iter();
            all.extend(named.map(|(id, one)| (format!("{}/{id}", api.as_str()), one)));
        }
        all
    });
    let name = name(endpoint);
    READ.get(&name)
        .unwrap_or_else(|| panic!("{name} has no sample: see `spec::samples`"))
}
