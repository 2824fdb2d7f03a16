//! Bulk runs on real servers.

use std::{env, time::Duration};

use crate::{admin::administrator, bulk, command::Home, servers::Site};

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn administrator_creates_the_list() {
    bulk::run_as_administrator(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn other_routes_create_the_list() {
    bulk::run_by_other_routes(Site::live);
}

/// `MATRICULA_BULK=3000x50` is the long run: 3,000 rows and 50 kills.
#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn killed_run_loses_no_row() {
    let setting = env::var("MATRICULA_BULK").unwrap_or_else(|_| "150x5".to_owned());
    let (rows, kills) = setting.split_once('x').unwrap();
    let (site, home) = (Site::live("closed"), Home::new());
    administrator(&site, &home);
    let pause = Duration::from_millis(350);
    let (rows, kills) = (rows.parse().unwrap(), kills.parse().unwrap());
    bulk::kill_repeatedly(&site, &home, rows, kills, pause);
}

/// The server allows ten registrations at once, then five a second.
#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn run_adapts_to_rate_limits() {
    let site = Site::live("token+paced");
    bulk::count_rate_limited_requests(&site, 200);
}
