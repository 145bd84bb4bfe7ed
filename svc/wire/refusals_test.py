from wire.refusals import Refused, too_large


def test_a_refusal_keeps_what_it_is_about() -> None:
    errors = [(("body", "configurations", "eu"), "This has revision 4")]
    refused = Refused(412, "Some have changed.", errors, {"ETag": '"7"'})
    assert (refused.status_code, refused.detail) == (412, "Some have changed.")
    assert (refused.errors, refused.headers) == (errors, {"ETag": '"7"'})


def test_a_refusal_may_be_about_no_part() -> None:
    assert Refused(409, "The name is taken.").errors == []


def test_what_is_too_large_is_named_unless_it_is_all_together() -> None:
    errors = [(("body", "configurations", "eu"), "Too large")]
    some, together = too_large(errors), too_large([])
    assert (some.status_code, some.errors, together.status_code) == (413, errors, 413)
    assert some.detail.startswith("Some documents are too large as they")
    assert together.detail.startswith("All of this together is too large as it")
