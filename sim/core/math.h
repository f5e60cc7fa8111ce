#pragma once

namespace coalmine::math {

// Elementary functions from + - * / and sqrt alone, so that every machine and compiler
// computes the same bits; libm's differ by CPU. Errors are below 2 units in the last place
// for log and exp, about 1e-14 relative for the rest.

/// Natural logarithm. log(0) = -inf, NaN below.
double log(double x);
/// log(1 + x), precise near 0.
double log1p(double x);
double exp(double x);
/// x^y for x > 0.
double pow(double x, double y);
/// ln Gamma(x), x > 0 (Stirling's series after shifting x above 12; Abramowitz & Stegun 6.1.41).
double lgamma(double x);
/// ln B(a, b), a, b > 0.
double lbeta(double a, double b);
/// Regularised incomplete beta I_x(a, b): P(X <= x) for X ~ Beta(a, b)
/// (continued fraction of Abramowitz & Stegun 26.5.8, evaluated by Lentz's method).
double incomplete_beta(double a, double b, double x);
/// Upper tail 1 - I_x(a, b), without cancellation.
double incomplete_beta_upper(double a, double b, double x);
/// Standard normal P(Z <= z) (Abramowitz & Stegun 26.2.17 is too coarse: by continued fraction).
double normal_cdf(double z);

}  // namespace coalmine::math
