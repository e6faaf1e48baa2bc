//! Sealed secrets that replicas share, and the right to renew one. What is sealed here can't be opened here.

use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;

use crate::cache::redis::RedisTier;

/// Gives a claim back, unless it ran out and is another's by now.
static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0",
    )
});

impl RedisTier {
    /// The sealed bytes of that name; nothing when there are none or Redis fails.
    pub async fn sealed(&self, name: &str) -> Option<Vec<u8>> {
        let mut command = redis::cmd("GET");
        command.arg(self.secret_key(name));
        let work = |mut connection| async move { command.query_async(&mut connection).await };
        self.guarded::<Option<Vec<u8>>, _>(self.settings().timeout(), work)
            .await?
    }

    /// Keeps sealed bytes, and says whether Redis took them.
    pub async fn seal(&self, name: &str, bytes: &[u8], life: Duration) -> bool {
        let mut command = redis::cmd("SET");
        command
            .arg(self.secret_key(name))
            .arg(bytes)
            .arg("PX")
            .arg(millis(life));
        let work = |mut connection| async move { command.exec_async(&mut connection).await };
        self.guarded(self.settings().write_timeout(), work)
            .await
            .is_some()
    }

    /// Takes the right to renew what has that name; false while another replica has it, nothing when Redis fails.
    pub async fn claim(&self, name: &str, who: &str, life: Duration) -> Option<bool> {
        let mut command = redis::cmd("SET");
        command
            .arg(self.secret_key(name))
            .arg(who)
            .arg("NX")
            .arg("PX")
            .arg(millis(life));
        let work = |mut connection| async move { command.query_async(&mut connection).await };
        let taken: Option<String> = self.guarded(self.settings().write_timeout(), work).await?;
        Some(taken.is_some())
    }

    /// Gives the right back.
    pub async fn release(&self, name: &str, who: &str) {
        let mut call = RELEASE.key(self.secret_key(name));
        call.arg(who);
        let work = |mut connection| async move { call.invoke_async::<i64>(&mut connection).await };
        self.guarded(self.settings().write_timeout(), work).await;
    }

    fn secret_key(&self, name: &str) -> String {
        format!("tributary:{}:credential:{name}", self.settings().prefix)
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX).max(1)
}
