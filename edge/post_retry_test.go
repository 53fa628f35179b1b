package edge

import "testing"

// TestRetries: a POST is made again when its time has come, once.
func TestRetries(t *testing.T) {
	t.Parallel()
	var r retries
	first, second, third := &posts{}, &posts{}, &posts{}
	r.add(first, 20)
	r.add(second, 10)
	r.add(third, 20)
	steps := []struct {
		now  int64
		want []*posts
	}{{9, nil}, {10, []*posts{second}}, {19, nil}, {21, []*posts{first, third}}, {100, nil}}
	for _, step := range steps {
		got := r.take(step.now)
		if len(got) != len(step.want) {
			t.Fatalf("at %d %d are due, expected %d", step.now, len(got), len(step.want))
		}
		for i := range got {
			if got[i].posts != step.want[i] {
				t.Errorf("at %d another one is due in place %d", step.now, i)
			}
		}
	}
}
