//! Estimates how long a run takes.

use std::time::Duration;

use super::Route;

/// The estimated duration of a run, and its basis.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estimate {
    /// The route.
    pub route: Route,
    /// The duration.
    pub duration: Duration,
    /// What it assumes about the server.
    pub basis: &'static str,
}

/// Estimates the duration of a run of this many rows, for each route. Servers do not publish their
/// rate limits, so the numbers are Synapse's defaults, on one core without other load.
pub fn estimate(rows: usize) -> [Estimate; 4] {
    Route::ALL.map(|route| {
        let (milliseconds_per_row, basis) = match route {
            Route::Admin | Route::SharedSecret => (
                270,
                "no limit; 0.27 s for each password hash on one core: bcrypt with 12 rounds",
            ),
            Route::Token => (
                5_883,
                "Synapse's default limit of 0.17 registrations a second for each address",
            ),
            Route::Appservice => (10, "no limit and no password: 100 a second"),
        };
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        Estimate {
            route,
            duration: Duration::from_millis(milliseconds_per_row).saturating_mul(rows),
            basis,
        }
    })
}
