from django.urls import path

from . import views

urlpatterns = [
    path("workers/", views.Workers.as_view(), name="workers"),
    path("workers/<str:name>/drain/", views.WorkerDrain.as_view(), name="worker-drain"),
    path("workers/<str:name>/resume/", views.WorkerResume.as_view(), name="worker-resume"),
]
