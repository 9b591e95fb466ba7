//! Plans and who carries them out: the runner of steps, the supervisor of processes, and the evidence of what passed.

pub mod evidence;
pub mod plan;
pub mod supervisor;
