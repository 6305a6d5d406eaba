//! What would be run, and that every fuzz folder is whole.

use super::*;

#[test]
fn every_target_has_a_corpus() {
    let workspace = Workspace::open().unwrap();
    for fuzzed in FUZZED {
        let folder = workspace.root().join(fuzzed.folder);
        for target in targets(&folder).unwrap() {
            let corpus = folder.join("corpus").join(&target);
            let files = fs::read_dir(&corpus).unwrap().count();
            assert!(files > 0, "{} is empty", corpus.display());
        }
    }
}

#[test]
fn on_stable_the_seed_and_the_time_reach_the_mutation_test() {
    let workspace = Workspace::open().unwrap();
    let options = Options {
        minutes: 3,
        seed: 9,
    };
    let typed = process::typed(&stable_command(&workspace, &FUZZED[0], &options));
    assert!(
        typed.contains("MERIDIAN_MINUTES=3 MERIDIAN_SEED=9"),
        "{typed}"
    );
    assert!(
        typed.ends_with("--package meridian-revlog --test wire"),
        "{typed}"
    );
}

#[test]
fn no_seed_is_a_random_one() {
    assert_eq!(libfuzzer_seed(0), 1);
    assert_eq!(libfuzzer_seed(1 << 32), 1);
    assert_eq!(libfuzzer_seed(7), 7);
}
