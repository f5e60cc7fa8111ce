#pragma once

namespace coalmine::rollout {

/// How a sequential test carries its evidence from one weight step into the next.
///
/// A test's likelihood ratio (or mixture of them) is a bet against "the canary is as good as
/// stable": its expectation never rises if that is true. We start with wealth 1 and bet only
/// part of it; at each new weight step a part of the reserve joins the bet. Wealth stays a
/// non-negative supermartingale, so by Ville's inequality it ever reaches 1/alpha with
/// probability at most alpha (Shafer 2021, "Testing by betting"; Waudby-Smith & Ramdas,
/// arXiv 2010.09686). The point of the reserve: a long healthy step eats the stake, and without
/// fresh stake a fault that only shows at 50% would need far more evidence than one at 1%.
struct Wealth {
  /// Kept back at the start; costs ln(1/0.9) = 0.11 nats, one canary request of a 5% fault.
  static constexpr double kFirstReserve = 0.1;

  double reserve = kFirstReserve;
  double stake = 1 - kFirstReserve;

  /// All wealth when the running bet has multiplied its stake by `factor`.
  double with(double factor) const { return reserve + stake * factor; }
  /// The factor at which with() reaches `limit`.
  double factor_for(double limit) const { return (limit - reserve) / stake; }
  /// A new weight step begins: the bet that stood at `factor` is closed, and half of the
  /// reserve joins its proceeds in the next one.
  void next_step(double factor) {
    stake = stake * factor + reserve / 2;
    reserve /= 2;
  }
  bool operator==(const Wealth&) const = default;
};

}  // namespace coalmine::rollout
