//! Every condition and update expression.

/// The item must not be there yet. Every write to `ledger` carries it; [`crate::guard`] lets no other one out.
pub const NOT_EXISTS: &str = "attribute_not_exists(pk)";
/// The item is as it was read.
pub const SAME_REV: &str = "rev = :rev";
/// The tables were not written by a newer version.
pub const SCHEMA_NOT_NEWER: &str = "attribute_not_exists(v) OR v <= :v";
/// From now on they are of this version.
pub const SCHEMA_CLAIM: &str = "SET v = :v";
/// All items of a partition.
pub const IN_PARTITION: &str = "pk = :pk";
/// Items of a partition from one sort key to another, both included.
pub const IN_PARTITION_BETWEEN: &str = "pk = :pk AND sk BETWEEN :from AND :to";
/// Items of a partition whose sort key begins so.
pub const IN_PARTITION_BEGINS: &str = "pk = :pk AND begins_with(sk, :prefix)";
/// Items of a partition before a sort key.
pub const IN_PARTITION_BEFORE: &str = "pk = :pk AND sk < :before";
/// Items of a partition after a sort key.
pub const IN_PARTITION_AFTER: &str = "pk = :pk AND sk > :from";
/// A customer's balance is watched, or no longer, for their own thresholds.
pub const WATCH_ALERTS: &str = "SET alerts = :on";
/// The same, for automatic top-up.
pub const WATCH_TOP_UP: &str = "SET top_up = :on";
/// The same, because no single lane tells the balance.
pub const WATCH_LANES: &str = "SET lanes = :on";
/// The balance when it was last looked at, and what was done about it.
pub const WATCH_LOOK: &str = "SET seen = :seen, looks = :next, top_ups = :top_ups, tried = :tried";
/// Nobody has looked before.
pub const WATCH_FIRST_LOOK: &str = "attribute_not_exists(looks)";
/// Nobody has looked since.
pub const WATCH_SAME_LOOK: &str = "looks = :looks";
/// Where the last run through one of lifecycle's lists stopped.
pub const LIFECYCLE_MARK: &str = "SET mark = :mark";
/// A run is opened once; its first opening stays.
pub const RUN_OPEN: &str = "SET opened_at = if_not_exists(opened_at, :now), heartbeat_at = :now";
/// A shard of a run is done. Adding to a set twice changes nothing, nor does setting the same number.
/// What failed in an earlier try is no failure of the run.
pub const RUN_SHARD_DONE: &str = "ADD shards :shard SET #jobs = :jobs, heartbeat_at = :now REMOVE #error";
/// The last failure of a shard.
pub const RUN_ERROR: &str = "SET #error = :error, heartbeat_at = :now";
/// A job of a run was parked; a set, so that parking it twice names it once.
pub const RUN_PARKED: &str = "ADD parked :servers SET heartbeat_at = :now";
/// Keeps the list of parked servers short, and makes no run of its own: one that nobody opened would hide that none was.
pub const RUN_PARKED_ROOM: &str =
    "attribute_exists(opened_at) AND (attribute_not_exists(parked) OR size(parked) < :most)";
/// Jobs of a run came too late. The heartbeat stays: dropping jobs is no sign of life.
pub const RUN_EXPIRED: &str = "ADD expired :jobs";
/// The item is there.
pub const EXISTS: &str = "attribute_exists(pk)";
/// A request is claimed once; a claim that ran out, or an answer that should have expired, is taken over.
pub const ANSWER_FREE: &str =
    "attribute_not_exists(pk) OR #ttl < :now OR (attribute_not_exists(#status) AND #until < :now AND body = :body)";
/// Claims it.
pub const ANSWER_CLAIM: &str = "SET body = :body, #until = :until, #ttl = :ttl REMOVE #status, answer";
/// Keeps the answer.
pub const ANSWER_KEEP: &str = "SET #status = :status, answer = :answer";
/// Ends a claim, and keeps what it was for.
pub const ANSWER_LET_GO: &str = "SET #until = :ended";
/// Attribute: how often a window was counted.
pub const RATE_TAKEN: &str = "taken";
/// There is room in a window.
pub const RATE_ROOM: &str = "attribute_not_exists(taken) OR taken < :most";
/// Takes a place in it.
pub const RATE_TAKE: &str = "ADD taken :one SET #ttl = :ttl";
/// A session is live, up to a bound, of somebody who may sign in. Adding to a set twice changes nothing.
pub const ACCESS_SESSION_ADD: &str = "ADD #sessions :session";
/// There is room for it, and an active account.
pub const ACCESS_SESSION_ROOM: &str =
    "#status = :active AND (attribute_not_exists(#sessions) OR size(#sessions) < :most)";
/// Sessions are over.
pub const ACCESS_SESSION_REMOVE: &str = "DELETE #sessions :gone";
/// All sessions are over.
pub const ACCESS_SESSIONS_CLEAR: &str = "REMOVE #sessions";
/// All sessions are over, and all API keys.
pub const ACCESS_END: &str = "SET #keys = :none REMOVE #sessions";
/// All sessions but one are over.
pub const ACCESS_SESSIONS_KEEP: &str = "SET #sessions = :kept";
/// That one is live: what ended meanwhile is not brought back.
pub const ACCESS_SESSION_LIVE: &str = "contains(#sessions, :session)";
/// Another status; sessions and API keys go on where it is lifted again.
pub const ACCESS_STATUS: &str = "SET #status = :status";
/// Another status that ends all sessions and API keys.
pub const ACCESS_STATUS_END: &str = "SET #status = :status, #keys = :none REMOVE #sessions";
/// Who is deleted stays so.
pub const ACCESS_NOT_DELETED: &str = "attribute_exists(pk) AND #status <> :deleted";
/// Who leaves is there, and no admin: there is always one left.
pub const ACCESS_MAY_LEAVE: &str = "attribute_exists(pk) AND #status <> :deleted AND #role <> :admin";
/// Another role, another status.
pub const ACCESS_CHANGE: &str = "SET #status = :status, #role = :role";
/// Another role, and a status that ends all sessions and API keys.
pub const ACCESS_CHANGE_END: &str = "SET #status = :status, #role = :role, #keys = :none REMOVE #sessions";
/// Role and status are as they were read.
pub const ACCESS_AS_READ: &str = "#status = :old_status AND #role = :old_role";
/// An active admin.
pub const ACCESS_IS_ADMIN: &str = "#status = :active AND #role = :admin";
/// An active account.
pub const ACCESS_IS_ACTIVE: &str = "#status = :active";
/// An API key holds.
pub const ACCESS_KEY_PUT: &str = "SET #keys.#key = :doc";
/// There is room for it, an active account, and the session that asks is not over.
pub const ACCESS_KEY_ROOM: &str = "#status = :active AND size(#keys) < :most AND contains(#sessions, :session)";
/// An API key holds no more.
pub const ACCESS_KEY_REMOVE: &str = "REMOVE #keys.#key";
/// No other change of address was asked for since.
pub const EMAIL_NEWEST: &str = "newest = :newest";
/// Counts an automatic top-up, in the transaction that writes its payment down.
pub const TOP_UP_COUNT: &str = "ADD spent :amount, times :one SET #ttl = :ttl";
/// There is room for it that day. Whether a first one fits its limit is known before.
pub const TOP_UP_ROOM: &str = "attribute_not_exists(spent) OR (spent <= :room AND times < :most)";
