//! Guesses which key was meant.

/// The known key that `key` is most likely a slip of.
pub(super) fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    // One slip in three letters: more and the suggestion would be a guess.
    let slips_max = (key.chars().count() / 3).max(1);
    let with_slips = known.iter().map(|known| (slips(key, known), *known));
    with_slips
        .filter(|(slips, _)| *slips <= slips_max)
        .min()
        .map(|(_, known)| known)
}

/// Insertions, deletions and changes of one character between the two, case aside.
fn slips(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
