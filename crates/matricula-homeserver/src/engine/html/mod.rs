//! HTML pages. This module renders data; it knows neither the database nor what the data is for.

pub(crate) mod fallback;
pub(crate) mod form;
pub(crate) mod login_page;
pub(crate) mod page;
pub(crate) mod redirect;
