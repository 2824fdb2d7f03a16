//! A server that rotates refresh tokens as Synapse does and the specification allows.

use matricula_core::{Body, Response};
use serde_json::{Value, json};

/// A pair of tokens, and what has become of it.
struct Pair {
    access: String,
    refresh: String,
    /// The pair that it was exchanged for, as long as no token of this one was used.
    parent: Option<usize>,
    /// The refresh token was exchanged for a pair that was then used.
    is_spent: bool,
    /// The access token is no more.
    is_over: bool,
    /// The pair was replaced before it was used.
    is_dead: bool,
    expires_at: u64,
}

/// The server's side of one session.
pub(super) struct Server {
    pairs: Vec<Pair>,
    pub(super) is_oauth: bool,
    lifetime: u64,
    pub(super) refreshes: usize,
}

impl Server {
    pub(super) fn new(is_oauth: bool, lifetime: u64, now: u64) -> Self {
        let mut server = Self {
            pairs: Vec::new(),
            is_oauth,
            lifetime,
            refreshes: 0,
        };
        server.issue(now, None);
        server
    }

    fn issue(&mut self, now: u64, parent: Option<usize>) -> &Pair {
        let number = self.pairs.len();
        self.pairs.push(Pair {
            access: format!("access-{number}"),
            refresh: format!("refresh-{number}"),
            parent,
            is_spent: false,
            is_over: false,
            is_dead: false,
            expires_at: now + self.lifetime,
        });
        &self.pairs[number]
    }

    /// A token of this pair is used: the pair before it is spent.
    fn confirm(&mut self, number: usize) {
        if let Some(parent) = self.pairs[number].parent.take() {
            self.pairs[parent].is_spent = true;
            self.pairs[parent].is_over = true;
        }
    }

    /// Exchanges a refresh token.
    pub(super) fn refresh(&mut self, token: &str, now: u64) -> Response {
        self.refreshes += 1;
        let found = self.pairs.iter().position(|pair| pair.refresh == token);
        let Some(number) = found.filter(|number| !self.pairs[*number].is_dead) else {
            return self.refuse(401, "M_UNKNOWN_TOKEN");
        };
        if self.pairs[number].is_spent {
            return self.refuse(403, "M_FORBIDDEN");
        }
        self.confirm(number);
        for pair in &mut self.pairs {
            pair.is_dead |= pair.parent == Some(number);
        }
        let (is_oauth, lifetime) = (self.is_oauth, self.lifetime);
        let pair = self.issue(now, Some(number));
        let mut body = json!({ "access_token": pair.access, "refresh_token": pair.refresh });
        match is_oauth {
            true => {
                body["expires_in"] = json!(lifetime / 1000);
                body["token_type"] = json!("Bearer");
            }
            false => body["expires_in_ms"] = json!(lifetime),
        }
        answer(200, &body)
    }

    fn refuse(&self, status: u16, code: &str) -> Response {
        match self.is_oauth {
            true => answer(400, &json!({ "error": "invalid_grant" })),
            false => answer(status, &json!({ "errcode": code, "error": "no" })),
        }
    }

    /// Answers a request that carries an access token.
    pub(super) fn call(&mut self, token: &str, now: u64) -> Response {
        let found = self.pairs.iter().position(|pair| pair.access == token);
        let is_good = |number: &usize| !self.pairs[*number].is_dead && !self.pairs[*number].is_over;
        let Some(number) = found.filter(is_good) else {
            let body = json!({ "errcode": "M_UNKNOWN_TOKEN", "soft_logout": false, "error": "" });
            return answer(401, &body);
        };
        if self.pairs[number].expires_at <= now {
            let body = json!({ "errcode": "M_UNKNOWN_TOKEN", "soft_logout": true, "error": "" });
            return answer(401, &body);
        }
        self.confirm(number);
        answer(200, &json!({ "user_id": "@a:e.org" }))
    }

    /// Whether this refresh token still gets a pair.
    pub(super) fn takes(&self, token: &str) -> bool {
        let mut pairs = self.pairs.iter();
        pairs.any(|pair| pair.refresh == token && !pair.is_dead && !pair.is_spent)
    }
}

pub(super) fn answer(status: u16, body: &Value) -> Response {
    Response::new(status, vec![], Body::Json(body.to_string()))
}
