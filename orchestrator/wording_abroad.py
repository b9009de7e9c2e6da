"""What a message may not say in German, French and Spanish: the rules for English, in those languages' words."""

import re

from orchestrator.wording import Wording

# A promise taken back in the same clause: "keine Garantie", "nous ne garantissons pas", "sin garantía".
_NOT_PROMISED = (
    r"\b(?:kein\w*|nicht|ohne|pas|sans|aucune?|no|sin|n[ei]|ninguna)\b[^.!?,;:\n]{0,30}\bgarant\w+"
    r"|\bgarant\w+[^.!?,;:\n]{0,20}\b(?:nicht|pas|rien)\b"
)
_OFFERS = (
    r"(?:anbieter|lösung|plattform|software|dienst\w*|werkzeug|prestataires?|solutions?|plateformes?|outils?"
    r"|logiciels?|services?|équipes?|proveedor(?:es)?|solución|plataforma|herramienta|servicio|equipo)"
)


def _sentence(code: str, why: str, fix: str, *patterns: str, excuse: str = "") -> Wording:
    """Blocks in subject and body, judged sentence by sentence."""
    return Wording(
        code,
        "block",
        "both",
        re.compile("|".join(patterns), re.IGNORECASE),
        why,
        fix,
        by_sentence=True,
        excuse=re.compile(excuse, re.IGNORECASE) if excuse else None,
    )


WORDINGS_ABROAD: tuple[Wording, ...] = (
    _sentence(
        "guarantee",
        "an unqualified guarantee",
        "say what you do, not what will happen",
        r"\bgaranti(?:e|en|er\w*|r|t|s|ss\w+|z\w+)\b|\bgarantía\w*",
        excuse=_NOT_PROMISED,
    ),
    _sentence(
        "superlative",
        'an unqualified "best"',
        "say what is different, in words that can be checked",
        r"\bwir sind (?:die|der) (?:besten?|führenden?)\b|\b(?:der|die|das|den) besten? " + _OFFERS + r"\b",
        r"\bnous sommes (?:le|la|les) meilleure?s?\b|\b(?:le|la|les) meilleure?s? " + _OFFERS + r"\b",
        r"\bsomos (?:el|la|los|las) mejor(?:es)?\b|\b(?:el|la|los|las) mejor(?:es)? " + _OFFERS + r"\b",
    ),
    _sentence(
        "only_one",
        'an unqualified "only"',
        "drop the claim to be alone",
        r"\b(?:der|die|das) einzigen? " + _OFFERS + r"\b|\bnur wir\b",
        r"\b(?:le seul|la seule|les seuls|l['’]unique) " + _OFFERS + r"\b",
        r"\b(?:el único|la única|los únicos) " + _OFFERS + r"\b",
    ),
    _sentence(
        "number_one",
        'an unqualified "#1"',
        "drop the rank, or cite who measured it",
        r"\bnr\. ?1\b(?![\d.,]\d)|\bnummer (?:1|eins)\b|\bnuméro (?:1|un)\b|\bnúmero (?:1|uno)\b",
    ),
    _sentence(
        "hundred_percent",
        'an unqualified "100 %"',
        "say what holds, and when it doesn't",
        r"(?<![\d.,])100\s?(?:prozent|pour cent|por ciento)\b|\bhundertprozentig\w*|\bcien por cien(?:to)?\b",
    ),
    _sentence(
        "false_urgency",
        "urgency that isn't there",
        "leave the timing to the reader",
        r"\bletzte (?:chance|gelegenheit)\b|\bnur noch (?:heute|wenige|\d+ (?:plätze|tage|stunden))\b",
        r"\bjetzt (?:zuschlagen|handeln)\b|\bläuft (?:heute|morgen|bald) ab\b|\bdringend\b",
        r"\bdernière (?:chance|occasion)\b|\bplus que \d+ (?:places?|jours?|heures?)\b",
        r"\bexpire (?:aujourd|ce soir|demain|bientôt)|\baujourd['’]hui seulement\b",
        r"\búltima (?:oportunidad|llamada)\b|\b(?:sol|sól)o (?:por )?hoy\b|\bquedan (?:solo )?\d+ plazas\b",
        r"\b(?:termina|acaba|caduca|vence) (?:hoy|mañana|pronto)\b|\bno (?:te|se) lo pierda",
        excuse=r"\bnicht (?:\w+ )?dringend\b|\bpas (?:\w+ )?urgent\b",
    ),
    _sentence(
        "unfounded_contact",
        "it claims a contact that isn't on record",
        "say how you really know them",
        r"\bwie (?:\w+ ){0,3}(?:besprochen|vereinbart|abgesprochen|zugesagt)\b|\bunser gemeinsamer \w+",
        r"\b(?:nach|zu) unserem (?:telefonat|gespräch|treffen|termin)\b",
        r"\bcomme (?:convenu|discuté|promis)\b|\bsuite à notre (?:appel|échange|conversation|rencontre)\b",
        r"\bnotre ami commun\b|\bcomo (?:acordamos|hablamos|quedamos|comentamos)\b",
        r"\btras nuestra (?:llamada|conversación|reunión)\b|\bnuestro amigo (?:en )?común\b",
    ),
    Wording(
        "placeholder",
        "block",
        "both",
        re.compile(
            r"\[(?:vor|nach)?name\]|\[(?:firma|unternehmen|anrede|pr[ée]nom|nom|soci[ée]t[ée]|entreprise"
            r"|nombre|apellidos?|empresa)\]",
            re.IGNORECASE,
        ),
        "a placeholder was not filled in",
        "fill it in, or let the template skip the sentence",
    ),
)
