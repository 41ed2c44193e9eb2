"""The label scheme and the action classes: the one place where they are spelled.

`training/guidelines.md` defines them in full; data, configs, the model and the README are tested against this module.
"""

from __future__ import annotations

from typing import Final

LABEL_DEFINITIONS: Final[dict[str, str]] = {
    "SUBSTANCE": "One specific psychoactive drug, medicine, adulterant or drug plant, by any name.",
    "DRUG_CLASS": "A group of drugs by pharmacology, chemistry, origin or legal category.",
    "PRECURSOR": "A chemical used to make drugs: a specific one, or the generic phrase.",
    "INSTITUTION": "A named public body or organised policy actor, from a ministry to an NGO.",
    "CRIMINAL_ORG": "A named drug-trafficking, criminal or terrorist organisation.",
    "LEGAL_INSTRUMENT": "A named or cited law, bill, treaty, resolution, order, regulation or section of one.",
    "CONTROL_STATUS": "A category of control: the keyword with its numeral or letter, as in Schedule I.",
    "QUANTITY": "An amount of a drug or chemical: a number with its unit.",
    "POLICY_VERB": "A verb that expresses an act of drug policy; its action class is its concept id.",
}
"""Label -> one-line definition, in the order in which labels are shown."""

ACTION_DEFINITIONS: Final[dict[str, str]] = {
    "LEGISLATE": "Make or change law or rules: enact, pass, adopt, amend, propose, sign.",
    "CONTROL": "Put under control or narrow it: schedule, ban, restrict, regulate, limit.",
    "LIBERALIZE": "Loosen or lift control: legalize, decriminalize, deschedule, pardon, expunge.",
    "ENFORCE": "Act against the trade or offenders: seize, arrest, prosecute, dismantle, combat.",
    "SANCTION": "Penalise by finance or designation: sanction, designate, freeze, block.",
    "COOPERATE": "Work with others: collaborate, coordinate, partner, share, support, meet.",
    "FUND": "Give or move money: fund, invest, allocate, award, appropriate, provide.",
    "PREVENT_TREAT": "Reduce use or harm: treat, prevent, educate, train, distribute, screen.",
    "MONITOR": "Watch or study: monitor, investigate, review, assess, evaluate, warn.",
    "ADVOCATE": "Call for or oppose a measure: urge, advocate, push, recommend, request.",
    "AUTHORIZE": "Permit: approve, authorize, license, register, allow, exempt.",
}
"""Action class of a POLICY_VERB -> one-line definition."""

LABELS: Final[tuple[str, ...]] = tuple(LABEL_DEFINITIONS)
ACTIONS: Final[tuple[str, ...]] = tuple(ACTION_DEFINITIONS)
