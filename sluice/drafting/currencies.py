"""What stands beside an amount: a currency's sign, its code or how people abbreviate it."""

from __future__ import annotations

import re
import unicodedata

# ISO 4217, https://www.six-group.com/en/products-services/financial-information/data-standards.html
_CODES = frozenset(
    """AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF
    CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL
    HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD
    MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR
    RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS
    UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWL""".split()  # noqa: SIM905
)
_WORDS = frozenset(
    """fr fr. sfr sfr. kr kr. kč zł ft lei din дин руб руб. р. р rs rs. rm rp tl lv лв лв. грн грн. euro euros eur.
    dollar dollars usd. cent cents 円 元 원""".split()  # noqa: SIM905
)
_SIGN_WITH_LETTERS = re.compile(r"[A-Za-z]{0,3}(?P<sign>[^A-Za-z0-9\s])([A-Za-z]{1,3}\.?)?")


def is_currency(text: str) -> bool:
    """Tell whether a text is a currency: "€", "US$", "CHF", "kr."."""
    if text.upper() in _CODES and (text.isupper() or text.islower()):
        return True
    if text.casefold() in _WORDS:
        return True
    found = _SIGN_WITH_LETTERS.fullmatch(text)
    return found is not None and unicodedata.category(found["sign"]) == "Sc"
