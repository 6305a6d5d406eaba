//! The edges between rooms, and the fences around crates of others.
//!
//! Invariant: a crate without a row in the table is found, so that no room comes in unlooked at.

use super::{
    finding::Finding,
    member::{Dependency, Member},
    rules::{Allowed, FENCES, Fence, ROOMS, Room},
};

/// Whose crates carry this are ours.
const OURS: &str = "meridian-";

/// Finds the edges that no row allows.
pub(crate) fn check(member: &Member, findings: &mut Vec<Finding>) {
    check_against(ROOMS, FENCES, member, findings);
}

fn check_against(rooms: &[Room], fences: &[Fence], member: &Member, findings: &mut Vec<Finding>) {
    let room = rooms.iter().find(|room| room.name == member.name);
    match room {
        Some(room) => {
            let ours = member
                .dependencies
                .iter()
                .filter(|to| to.package.starts_with(OURS));
            findings.extend(ours.filter_map(|to| forbidden(room, member, to)));
        }
        None => findings.push(unknown(member)),
    }
    for dependency in &member.dependencies {
        findings.extend(
            fences
                .iter()
                .filter_map(|fence| fenced(fence, member, dependency)),
        );
    }
}

fn forbidden(room: &Room, member: &Member, to: &Dependency) -> Option<Finding> {
    let allowed = match room.allowed {
        Allowed::All => return None,
        Allowed::Only(names) if names.contains(&to.package.as_str()) => return None,
        Allowed::Only([]) => "none of ours".to_owned(),
        Allowed::Only(names) => format!("only {}", names.join(", ")),
    };
    let wrong = format!("{} may not depend on {}", room.name, to.package);
    let right = format!(
        "{allowed} ({}); a new edge is a row in crates/xtask/src/tidy/rules.rs",
        room.reason
    );
    Some(Finding::new(
        &member.manifest,
        member.line_of(&to.key),
        wrong,
        right,
    ))
}

fn unknown(member: &Member) -> Finding {
    let wrong = format!("{} is a room without edges", member.name);
    let right = "a row for it in crates/xtask/src/tidy/rules.rs, with its reason";
    Finding::new(&member.manifest, member.line_of("name"), wrong, right)
}

fn fenced(fence: &Fence, member: &Member, to: &Dependency) -> Option<Finding> {
    let inside = fence.rooms.contains(&member.name.as_str());
    if inside || !fence.crates.contains(&to.package.as_str()) {
        return None;
    }
    let wrong = format!("{} may not depend on {}", member.name, to.package);
    let right = format!(
        "{} only in {} ({})",
        to.package,
        fence.rooms.join(", "),
        fence.reason
    );
    Some(Finding::new(
        &member.manifest,
        member.line_of(&to.key),
        wrong,
        right,
    ))
}

#[cfg(test)]
mod tests;
