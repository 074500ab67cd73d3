//! Rendezvous hashing (Thaler and Ravishankar): each job ranks the instances in an order of its own, which depends on
//! nothing but the names. So every leader finds the same order, jobs spread over the instances, and an instance that
//! comes or goes leaves the order of the others as it is.

use super::ShardingRequest;

/// The instances of the request, by their indices, the job's favourite first.
pub(super) fn ranking(request: &ShardingRequest<'_>) -> Vec<usize> {
    let weight = |index: &usize| weight(request.job_name().bytes(), request.instances()[*index].id());
    let mut ranking: Vec<usize> = (0..request.instances().len()).collect();
    // Stable, so that equal weights keep the order of the ids.
    ranking.sort_by_cached_key(|index| std::cmp::Reverse(weight(index)));
    ranking
}

/// How much the instance is the one for what is shared out, compared with others.
///
/// The same in every build, since instances of several builds have to agree: FNV-1a, its bits mixed as by SplitMix64.
pub(crate) fn weight(shared: impl IntoIterator<Item = u8>, instance: &str) -> u64 {
    let bytes = shared.into_iter().chain([0]).chain(instance.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::super::Candidate;
    use super::*;

    fn ids(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("10.0.0.{index}@-@{index}")).collect()
    }

    fn ranked(job: &str, ids: &[String]) -> Vec<String> {
        let request = ShardingRequest::new(job, 1, ids.iter().map(|id| Candidate::new(id)));
        let instances = request.instances();
        ranking(&request)
            .iter()
            .map(|index| instances[*index].id().to_owned())
            .collect()
    }

    #[test]
    fn the_weight_should_be_the_same_in_every_build() {
        assert_eq!(weight("sync".bytes(), "10.0.0.1@-@7"), 0x0ae0_f6d5_c5e0_e3df);
        assert_ne!(weight("sync".bytes(), "a"), weight("synca".bytes(), ""));
    }

    #[test]
    fn keeps_the_order_of_the_others() {
        let mut ids = ids(9);
        let mut before = ranked("job", &ids);
        let gone = ids.remove(4);
        before.retain(|id| *id != gone);
        assert_eq!(ranked("job", &ids), before);
    }

    #[test]
    fn spreads_favourites_evenly() {
        let ids = ids(5);
        let favourites: Vec<String> = (0..5_000)
            .map(|job| ranked(&format!("job-{job}"), &ids).remove(0))
            .collect();
        for id in &ids {
            let jobs = favourites.iter().filter(|favourite| *favourite == id).count();
            assert!((850..=1_150).contains(&jobs), "{id} is the favourite of {jobs}");
        }
    }
}
