//! rusqlite 0.37 under the version that ldk-node 0.7 asks for. What it uses of it is the same in both but for one name.
#![forbid(unsafe_code)]

pub use real::*;

/// The databases of a connection, which rusqlite named by this type until 0.32 and names by strings since.
#[allow(non_snake_case, non_upper_case_globals, reason = "a module in place of an enum, with its variants' names")]
pub mod DatabaseName {
    /// The one that was opened first.
    pub const Main: &str = "main";
}
