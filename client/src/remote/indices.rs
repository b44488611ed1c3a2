//! What is asked of an index around a load: make it, make documents visible, count them.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::Value;

use super::{Remote, json, reason};

impl Remote {
    /// Makes an index as `body` says; one that is there already is left as it is.
    pub async fn create_index(&self, name: &str, body: &Value) -> Result<()> {
        let answer = self.request(Method::PUT, &[name]).json(body).send().await;
        let answer = answer.map_err(|error| self.unanswered(&error))?;
        let (status, body) = (answer.status(), answer.bytes().await?);
        let exists = String::from_utf8_lossy(&body).contains("resource_already_exists_exception");
        ensure!(status.is_success() || exists, reason(status, &body));
        Ok(())
    }

    /// Makes everything that was written to an index visible to searches. One that is not there, or
    /// not any more, has nothing to show.
    pub async fn refresh_index(&self, name: &str) -> Result<()> {
        let asked = self.request(Method::POST, &[name, "_refresh"]);
        let answer = asked.query(&[("ignore_unavailable", "true")]).send().await;
        let answer = answer.map_err(|error| self.unanswered(&error));
        let answer = answer.context("everything is in, but the refresh got no answer")?;
        json(answer)
            .await
            .map(drop)
            .context("everything is in, but cannot be refreshed")
    }

    /// Returns how many documents searches of the index see.
    pub async fn count_documents(&self, name: &str) -> Result<u64> {
        let answer = self.request(Method::GET, &[name, "_count"]).send().await;
        json(answer.map_err(|error| self.unanswered(&error))?).await?["count"]
            .as_u64()
            .context("the server answered no count")
    }
}
