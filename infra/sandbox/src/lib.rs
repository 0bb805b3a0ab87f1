//! Stand-ins that speak the providers' documented wire formats, with knobs for their faults. Empty so far: nothing here talks to
//! an outside provider yet.
