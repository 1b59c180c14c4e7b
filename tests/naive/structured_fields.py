"""Naive twin of structured fields: dictionaries, parsed character by character as section 4.2 of RFC 9651 says."""

import base64
import re
import string

LOWER, DIGITS = string.ascii_lowercase, string.digits
TOKEN = string.ascii_letters + DIGITS + "!#$%&'*+-.^_`|~:/"


class Text:
    """The characters of a field that are left to be read."""

    def __init__(self, value):
        self.left = value

    def next(self):
        return self.left[:1]

    def take(self, size=1):
        taken, self.left = self.left[:size], self.left[size:]
        return taken

    def discard(self, characters):
        self.left = self.left.lstrip(characters)

    def while_in(self, characters):
        taken = ""
        while self.left and self.left[0] in characters:
            taken += self.take()
        return taken


def fail_unless(sound):
    if not sound:
        raise ValueError


def naive_dictionary(value):
    """Return the members of a dictionary as {key: (kind, value)}; ValueError for a syntax error (section 4.2.2)."""
    fail_unless(value.isascii())
    text, members = Text(value), {}
    text.discard(" ")
    while text.left:
        key = naive_key(text)
        if text.next() == "=":
            text.take()
            member = naive_inner_list(text) if text.next() == "(" else naive_item(text)
        else:
            member = ("boolean", True)
            naive_parameters(text)
        members[key] = member
        text.discard(" \t")
        if not text.left:
            return members
        fail_unless(text.take() == ",")
        text.discard(" \t")
        fail_unless(text.left)
    return members


def naive_key(text):
    fail_unless(text.next() and text.next() in LOWER + "*")
    return text.while_in(LOWER + DIGITS + "_-.*")


def naive_parameters(text):
    while text.next() == ";":
        text.take()
        text.discard(" ")
        naive_key(text)
        if text.next() == "=":
            text.take()
            naive_bare_item(text)


def naive_item(text):
    item = naive_bare_item(text)
    naive_parameters(text)
    return item


def naive_inner_list(text):
    text.take()
    while True:
        text.discard(" ")
        fail_unless(text.left)
        if text.next() == ")":
            text.take()
            naive_parameters(text)
            return ("inner list", None)
        naive_item(text)
        fail_unless(text.next() and text.next() in " )")


def naive_bare_item(text):
    first = text.next()
    fail_unless(first)
    if first in DIGITS + "-":
        return naive_number(text)
    if first == '"':
        return naive_string(text)
    if first in string.ascii_letters + "*":
        return ("token", text.while_in(TOKEN))
    text.take()
    if first == ":":
        inside, colon, text.left = text.left.partition(":")
        fail_unless(colon and re.fullmatch("[A-Za-z0-9+/=]*", inside))
        decoded = base64.b64decode(inside + "=" * (-len(inside) % 4), validate=True)
        return ("bytes", decoded)
    if first == "?":
        digit = text.take()
        fail_unless(digit and digit in "01")
        return ("boolean", digit == "1")
    if first == "@":
        kind, number = naive_number(text)
        fail_unless(kind == "integer" and -62_135_596_800 <= number <= 253_402_214_400)  # more need not be supported
        return ("date", number)
    fail_unless(first == "%" and text.take() == '"')
    raw = b""
    while True:
        character = text.take()
        fail_unless(character and " " <= character <= "~")
        if character == '"':
            return ("display string", raw.decode("utf-8"))
        if character == "%":
            digits = text.take(2)
            fail_unless(re.fullmatch("[0-9a-f]{2}", digits))
            raw += bytes.fromhex(digits)
        else:
            raw += character.encode()


def naive_number(text):
    sign = text.take() if text.next() == "-" else ""
    digits = text.while_in(DIGITS)
    fail_unless(digits)
    if text.next() != ".":
        fail_unless(len(digits) <= 15)
        return ("integer", int(sign + digits))
    fail_unless(len(digits) <= 12)
    text.take()
    fraction = text.while_in(DIGITS)
    fail_unless(1 <= len(fraction) <= 3)
    return ("decimal", float(f"{sign}{digits}.{fraction}"))


def naive_string(text):
    text.take()
    value = ""
    while True:
        character = text.take()
        fail_unless(character and " " <= character <= "~")
        if character == '"':
            return ("string", value)
        if character == "\\":
            character = text.take()
            fail_unless(character and character in '"\\')
        value += character


def naive_refuses_training(content_usage):
    """Say whether a Content-Usage refuses training; None if it says nothing of training."""
    try:
        members = naive_dictionary(content_usage)
    except ValueError:
        return None
    stated = {members.get("train-ai"), members.get("train-genai")}
    if ("token", "n") in stated:
        return True
    return False if ("token", "y") in stated else None
