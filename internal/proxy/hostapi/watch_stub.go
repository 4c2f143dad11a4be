package hostapi

import "net/http"

func (rq *request) watch(http.ResponseWriter, *http.Request) error { return nil }
