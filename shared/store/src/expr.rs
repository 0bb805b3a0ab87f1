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
