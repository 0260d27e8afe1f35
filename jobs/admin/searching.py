"""The page that searches logs. The search itself is `GET /api/v1/logs/search/`, asked by the page's script."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from jobs.logs.query import BadQuery, Query
from jobs.logs.records import STREAMS
from jobs.models import Job, Project
from jobs.states import JobState

WHEN = [("", "any time"), ("3600", "the last hour"), ("86400", "the last day"), ("604800", "the last week")]


class SearchForm(forms.Form):
    """Its fields are the parameters of the search, but for `within`: seconds back from now."""

    q = forms.CharField(
        label="Text",
        max_length=1000,
        strip=False,
        widget=forms.TextInput({"type": "search", "autofocus": True, "size": 50}),
    )
    regex = forms.BooleanField(label="RE2 expression", required=False)
    ignore_case = forms.BooleanField(label="ignore case", required=False)
    within = forms.ChoiceField(label="Written", choices=WHEN, required=False)
    project = forms.ChoiceField(required=False)
    state = forms.ChoiceField(
        choices=[("", "any"), *((state.value, state.value) for state in JobState)], required=False
    )
    stream = forms.ChoiceField(choices=[("", "all"), *((name, name) for name in STREAMS)], required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = Project.objects.order_by("name").values_list("name", flat=True)[:500]
        self.fields["project"].choices = [("", "all"), *((name, name) for name in names)]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if "q" in given:
            try:
                Query(given["q"], given["regex"], given["ignore_case"])
            except BadQuery as error:
                self.add_error("q", str(error))
        return given


def search_page(request: HttpRequest, site: AdminSite) -> HttpResponse:
    asked = "q" in request.GET
    form = SearchForm(request.GET if asked else None)
    context = {
        **site.each_context(request),
        "title": "Search logs",
        "opts": Job._meta,
        "form": form,
        "asked": asked and form.is_valid(),
    }
    request.current_app = site.name
    return TemplateResponse(request, "towline/search.html", context)
