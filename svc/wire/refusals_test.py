from wire.refusals import Refused


def test_a_refusal_keeps_what_it_is_about() -> None:
    errors = [(("body", "configurations", "eu"), "This has revision 4")]
    refused = Refused(412, "Some have changed.", errors, {"ETag": '"7"'})
    assert (refused.status_code, refused.detail) == (412, "Some have changed.")
    assert (refused.errors, refused.headers) == (errors, {"ETag": '"7"'})


def test_a_refusal_may_be_about_no_part() -> None:
    assert Refused(409, "The name is taken.").errors == []
