"""What stands behind the verdict: configuration, status, ratios, sources of variance, predicted bound, provenance."""

import numpy as np

from egregium.report import fit, words
from egregium.report.config import flat, in_words
from egregium.report.markup import Markup, absent, bullets, interval, join, paragraphs, relation_name, section, table, tag, text
from egregium.report.results import Estimate, Results
from egregium.report.words import NOTHING, counted, number, percent, real
from egregium.runs.files import checksum
from egregium.status import Status

REFERENCES = (
    (
        "Syrota, Zainchkovskyy, Xi, Bloem-Reddy and Hauberg (2025). "
        "Identifying metric structures of deep latent variable models.",
        "arXiv 2502.13757",
        "https://arxiv.org/abs/2502.13757",
    ),
    (
        "Syrota, Moreno-Muñoz and Hauberg (2024). Decoder ensembling for learned latent geometries.",
        "arXiv 2408.07507",
        "https://arxiv.org/abs/2408.07507",
    ),
)


UNMEASURED = {
    "endpoint": "it needs geodesics that converged with both kinds of endpoints.",
    "image_mismatch": (
        "it needs two trainings, the relation geodesic_mean, and curves of one training whose points were all found on the "
        "surface of the next."
    ),
    "decoder_disagreement": "it needs several decoders in a training.",
    "solver": "it needs geodesics that converged.",
}
"""Why a source of variance may have no number."""


def measured(results: Results) -> Markup:
    """The configuration, as it was resolved."""
    points = results.table[["i", "j"]].stack().nunique()
    what = (
        f"{counted(len(results.models), 'model')} of your own, as given to the study: {', '.join(map(str, results.models))}."
        if results.own_models
        else f"{counted(len(results.models), 'training')} of the model below."
    )
    lead = (
        f"{what} In each, every relation was measured on the same "
        f"{counted(results.n_pairs, 'pair')} made of {points} test points. Endpoints in latent space are the encoder's mean "
        "of a test point, or, where the page says so, the latent point whose decoding is nearest to it."
    )
    return section("measured", "What was measured", paragraphs(lead), _facts(results.run.get("config", {})), *_fit(results))


def _fit(results: Results) -> list[Markup]:
    """How well the trainings fit their data, with those that stand out; nothing where it is not recorded."""
    found = fit.measures(results.fits)
    if not found:
        return []
    names = [one.training for one in results.fits]
    body = [
        (
            label,
            *(f"{amount:.4g}" for amount in (np.nanmedian(values), np.nanmin(values), np.nanmax(values))),
            ", ".join(names[place] for place in fit.stand_out(values)) or "none",
        )
        for label, values in found.items()
    ]
    head = ("Over trainings", "Median", "Least", "Largest", "Trainings that stand out")
    return [tag("h3", "How well the models fit"), table(head, body), bullets(fit.cautions(results.fits))]


def outcomes(results: Results) -> Markup:
    """Shares of every status; relations that always converged are named in a sentence."""
    rows = results.diagnostics.get("status") or []
    if not rows:
        return section("outcomes", "How the computations ended", absent("diagnostics.json holds no shares of status."))
    shares: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        shares.setdefault((row["endpoint"], row["relation"]), {})[row["status"]] = real(row["share"])
    seen = [status for status in Status if any(status.name in found for found in shares.values())]
    clean = [key for key, found in shares.items() if found.get("CONVERGED", 0.0) >= 1.0]
    body = [
        (relation_name(relation), endpoint, *(percent(found.get(status.name, 0.0)) for status in seen))
        for (endpoint, relation), found in shares.items()
        if (endpoint, relation) not in clean
    ]
    lead = "Only rows that ended CONVERGED enter the statistics above."
    failing = {relation for endpoint, relation in shares if (endpoint, relation) not in clean}
    always = sorted({relation for _, relation in clean} - failing)
    if always:
        lead += f" All rows converged for {'; '.join(words.in_prose(relation) for relation in always)}."
    parts: list[object] = [paragraphs(lead)]
    if body:
        parts.append(table(("Relation", "Endpoints", *(status.name for status in seen)), body))
        parts.append(bullets(Markup(f"{tag('code', status.name)}: {text(status.sentence)}.") for status in seen))
    return section("outcomes", "How the computations ended", *parts)


def ratios(results: Results) -> Markup:
    """How much the geodesic differs from what is cheaper, and from the next-best path."""
    rows = results.diagnostics.get("ratios") or []
    meaning = {
        "geodesic/chord": "1: the surface is flat between the points and the geodesic adds nothing to the chord.",
        "geodesic/straight": "1: the latent straight line is as short, so that optimising the path changes nothing.",
        "second_best/length": "near 1: two paths of almost the same length, so that trainings may choose differently.",
    }
    if not rows:
        return section("ratios", "Is the comparison empty?", absent("diagnostics.json holds no ratios."))
    body = [
        (
            row["name"],
            row["endpoint"],
            number(real(row["q05"])),
            number(real(row["median"])),
            number(real(row["q95"])),
            meaning.get(row["name"], ""),
        )
        for row in rows
    ]
    lead = "If the geodesic were always as long as the chord or the straight line, comparing them would say nothing."
    head = ("Ratio", "Endpoints", "5 % of curves below", "Median", "95 % below", "How to read it")
    return section("ratios", "Is the comparison empty?", paragraphs(lead), table(head, body))


def variance(results: Results) -> Markup:
    """Sources of the variation that is left, each as a CV."""
    rows = results.diagnostics.get("variance") or []
    if not rows:
        return section("variance", "Where the variance comes from", absent("diagnostics.json holds no sources of variance."))
    body = [
        (str(row["source"]).replace("_", " "), row["endpoint"], interval(_estimate(row, "cv")), _explained(row)) for row in rows
    ]
    lead = "The CV of the geodesic distance that each source would cause alone. They are measured separately and do not add up."
    return section(
        "variance", "Where the variance comes from", paragraphs(lead), table(("Source", "Endpoints", "CV", "In words"), body)
    )


def _explained(row: dict) -> str:
    """What a source is and, where it has no number, why."""
    sentence, why = str(row.get("sentence") or ""), UNMEASURED.get(row["source"], "the study holds nothing to measure it on.")
    return sentence if _estimate(row, "cv").known else f"{sentence.rstrip('.')}. Not measured here: {why}"


def bound(results: Results) -> Markup:
    """The CV that the measured departure from isometry allows, beside the CV observed."""
    title = "The bound that the theory predicts"
    found = results.diagnostics.get("isometry")
    if not found:
        return section("bound", title, absent(words.why_undefined(results) or "the departure from isometry was not measured."))
    names = {
        "defect_median": "Departure from isometry, median over points and pairs of trainings",
        "defect_q95": "Departure from isometry, 95 % below",
        "cv_bound_median": "Largest CV that it allows, median over pairs",
        "cv_observed_median": "CV observed, median over pairs",
        "share_within_bound": "Share of pairs within the bound",
    }
    body = [
        (label, percent(real(found[key])) if key.startswith("share") else number(real(found[key])))
        for key, label in names.items()
        if key in found
    ]
    lead = (
        "If two trainings drew exactly the same surface, the map between them would be an isometry and every geodesic "
        "distance would be equal. Where the metric of one, compared with that of the other through this map, is off by at most "
        "a share e in any direction, the ratio of two distances lies between the roots of 1 less e and 1 plus e. This bounds "
        "the CV, pair by pair."
    )
    return section(
        "bound", title, paragraphs(lead, found.get("sentence") or ""), table(("Quantity", "Value"), body, kind="facts")
    )


def provenance(results: Results) -> Markup:
    """Versions, revision and checksums: what it takes to make the same page again."""
    stored = {
        path.name: checksum(path)
        for name in ("table.parquet", "summary.parquet", "diagnostics.json", "figures.safetensors", "run.json")
        if (path := results.folder / name).is_file()
    }
    forced = " after its configuration, its code or its data had changed: results in it may come from more than one version."
    warning = tag("p", tag("b", "This run was continued with --force"), forced, class_="warning")
    parts = [warning] if results.run.get("history") else []
    parts += [tag("h3", "Software and machine"), _facts(results.run.get("provenance", {}))]
    seeds = {key: value for key, value in flat(results.run.get("config", {})) if "seed" in key or "checksum" in key}
    if seeds:
        parts += [tag("h3", "Seeds and data"), _facts(seeds)]
    parts += [tag("h3", "SHA-256 of the results"), table(("File", "Value"), stored.items(), kind="facts")]
    check = "egregium verify recomputes the checksums of every file of the run and a sample of its results."
    return section("provenance", "Provenance", *parts, paragraphs(check))


def references() -> Markup:
    items = (join([text(f"{entry} "), tag("a", label, href=link)]) for entry, label, link in REFERENCES)
    return section("references", "References", bullets(items))


def _facts(facts: dict) -> Markup:
    # A setting that was given and also resolved would stand there twice.
    rows = dict.fromkeys((in_words(key), _value(key, value)) for key, value in flat(facts) if value not in ("", NOTHING))
    return table(("Setting", "Value"), rows, kind="facts") if rows else absent("nothing was recorded.")


def _value(key: str, value: str) -> str:
    """Relations by the words of the tables, all else as it is."""
    return "; ".join(words.describe(name).short for name in value.split(", ")) if key.endswith("relations") else value


def _estimate(row: dict, key: str) -> Estimate:
    return Estimate(*(real(row.get(name)) for name in (key, f"{key}_low", f"{key}_high")))
